"""The audit trail for people and their tools: of everything that was asked, what, when, where, who, and what became of it."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ...core.errors import HistoryBroken
from ...core.log.port import EVENTS, LANES, Stored
from ...core.runtime.commits import Inputs, commits
from ...core.runtime.records import TIMER_LANE, Commit
from ...schemas import Contract, Envelope, MalformedRecord
from ..history import History
from ..schemas import learn_schemas

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
TIMER: Final = "timer"


async def export(history: History, *, since_us: int = 0, until_us: int | None = None) -> AsyncIterator[dict[str, Any]]:
    """Yield an item for each input that a shard consumed, shard by shard, in the order of the commits.

    `what` is the message's type (or `timer`), `when` the decision's time, `where` actor and place, `who` the sender,
    `outcome` the verdict, `events` what was decided. Raises `HistoryBroken` for inputs that are nowhere.
    """
    contract = Contract()
    contract.register(Commit, str(Commit.explicit_type))
    await learn_schemas(history, contract)
    as_of = await history.as_of()
    for shard in range(history.partitions):
        start, _ = await history.bounds(EVENTS, shard)
        inputs = Inputs(history, shard, [as_of.positions[lane, shard] for lane in LANES])
        async for transaction in commits(history, shard, contract, start, as_of.positions[EVENTS, shard]):
            fields = transaction.fields
            messages = await _messages(inputs, fields)
            if since_us <= fields["now"] and (until_us is None or fields["now"] < until_us):
                caused = _by_cause(contract, transaction.events)
                for given, message in zip(fields["inputs"], messages, strict=True):
                    yield _item(contract, shard, fields, given, message, caused)
        await inputs.close()


async def _messages(inputs: Inputs, fields: Mapping[str, Any]) -> list[Stored | None]:
    try:
        return await inputs.of(fields)
    except HistoryBroken:  # a lane that was trimmed before there was an archive
        return [None] * len(fields["inputs"])


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
        "id": envelope.id if envelope is not None else given["id"] or None,
        "when": _instant(fields["now"]),
        "where": where,
        "who": given["timer"] if is_timer else (envelope.source if envelope is not None else given["source"] or None),
        "outcome": given["verdict"],
        "events": caused.get(envelope.id, []) if envelope is not None else [],
    }


def _instant(us: int) -> str:
    return (_EPOCH + timedelta(microseconds=us)).isoformat(timespec="microseconds").replace("+00:00", "Z")
