"""The audit trail for people and their tools: of everything that was asked, what, when, where, who, and what became of it."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ...core.log.port import EVENTS, LANES, Stored
from ...core.runtime.commits import Inputs, commits
from ...core.runtime.records import TIMER_LANE, Commit
from ...schemas import Contract, Envelope, MalformedRecord
from ..history import History
from ..schemas import learn_schemas

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
TIMER: Final = "timer"
SLACK_US: Final = 3_600_000_000
"""A commit's time and the one of its appending may be so far apart."""


async def export(history: History, *, since_us: int = 0, until_us: int | None = None) -> AsyncIterator[dict[str, Any]]:
    """Yield an item for each input that a shard consumed, shard by shard, in the order of the commits.

    `what` is the message's type (or `timer`), `when` the decision's time, `where` actor and place, `who` the sender,
    `outcome` the verdict, `events` what was decided. Of messages that were deleted by policy only what the commit records say is
    known. Raises `HistoryGap` for commits that were deleted since that instant.
    """
    contract = Contract()
    contract.register(Commit, str(Commit.explicit_type))
    await learn_schemas(history, contract)
    as_of = await history.as_of()
    begins = await history.as_of((EVENTS,), at_us=since_us - SLACK_US) if since_us > SLACK_US else None
    for shard in range(history.partitions):
        start = 0 if begins is None else begins.positions[EVENTS, shard]
        inputs = Inputs(
            _Left(history), shard, [as_of.positions[lane, shard] for lane in LANES], starts=(0,) * len(LANES)
        )
        async for transaction in commits(history, shard, contract, start, as_of.positions[EVENTS, shard]):
            fields = transaction.fields
            messages = await inputs.of(fields)
            if since_us <= fields["now"] and (until_us is None or fields["now"] < until_us):
                caused = _by_cause(contract, transaction.events)
                for given, message in zip(fields["inputs"], messages, strict=True):
                    yield _item(contract, shard, fields, given, message, caused)
        await inputs.close()


class _Left:
    """A history in which what was deleted is passed over."""

    def __init__(self, history: History) -> None:
        self._history = history

    def records(
        self, topic: str, partition: int, start: int, end: int, *, headers: bool = False
    ) -> AsyncIterator[list[Stored]]:
        """Yield what is left of a range."""
        del headers
        return self._history.left(topic, partition, start, end)


def _by_cause(contract: Contract, events: list[Stored]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for stored in events:
        envelope = _envelope(contract, stored)
        if envelope is not None and envelope.causation_id is not None:
            found.setdefault(envelope.causation_id, []).append({"type": envelope.type, "id": envelope.id})
    return found


def _envelope(contract: Contract, stored: Stored | None) -> Envelope | None:
    try:
        return None if stored is None else contract.envelope_of(stored.value or b"")
    except MalformedRecord:
        return None


def _item(
    contract: Contract,
    shard: int,
    fields: Mapping[str, Any],
    given: Mapping[str, Any],
    message: Stored | None,
    caused: Mapping[str, list[dict[str, str]]],
) -> dict[str, Any]:
    envelope = _envelope(contract, message)
    id_ = envelope.id if envelope is not None else given["id"] or None
    is_timer = given["lane"] == TIMER_LANE
    where = {
        "actor": envelope.destination if envelope is not None else given["actor"],
        "shard": shard,
        "commit": fields["sequence"],
        "lane": TIMER if is_timer else LANES[given["lane"]],
        "position": given["offset"],
    }
    return {
        "what": TIMER if is_timer else (envelope.type if envelope is not None else None),
        "id": id_,
        "when": _instant(fields["now"]),
        "where": where,
        "who": given["timer"] if is_timer else (envelope.source if envelope is not None else given["source"] or None),
        "outcome": given["verdict"],
        "events": caused.get(id_, []) if id_ is not None else [],
    }


def _instant(us: int) -> str:
    return (_EPOCH + timedelta(microseconds=us)).isoformat(timespec="microseconds").replace("+00:00", "Z")
