"""The records that belong together: found by their bytes first, so that a log is searched as fast as it is read."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple

from ...core.errors import DestinationNotFound
from ...core.log.port import DEAD_LETTERS, EVENTS, LANES, OUTBOX, Stored
from ...core.runtime.commit_record import SHARD_KEY, commit_fields
from ...core.runtime.commits import transactions_of
from ...core.runtime.records import RUNTIME_RECORDS, Commit
from ...schemas import Contract, Envelope, MalformedRecord, Unknown
from ..history import History
from ..schemas import learn_schemas

SEARCHED: Final = (*LANES, EVENTS, OUTBOX, DEAD_LETTERS)
_LANE_OF: Final = {topic: lane for lane, topic in enumerate(LANES)}


class Found(NamedTuple):
    """A record of the log, decoded without the code that wrote it."""

    stored: Stored
    envelope: Envelope
    data: Mapping[str, Any]


class Handled(NamedTuple):
    """What became of a message: the verdict, and when."""

    verdict: str
    now_us: int


class Gathered(NamedTuple):
    """All of one correlation. `handled` is by (topic, partition, offset); `begun` has (event id, handler) of effects."""

    start: Found
    records: list[Found]
    handled: Mapping[tuple[str, int, int], Handled]
    begun: list[tuple[str, str]]
    by_field: bool = False
    """Whether the record was not named by its own id."""


async def gather(history: History, wanted: str) -> Gathered:
    """Return what belongs to a record: by its id, the correlation's, or an id in its fields (a task's, an incident's).

    Raises `DestinationNotFound` if nothing has it.
    """
    contract = Contract()
    for record in RUNTIME_RECORDS:
        if record is not Commit:
            contract.register(record, str(record.explicit_type))
    await learn_schemas(history, contract)
    start = await _start(history, contract, wanted)
    correlation = start.envelope.correlation_id
    records = [one async for one in _search(history, contract, correlation) if _belongs(one, correlation)]
    records.sort(key=lambda one: (one.envelope.at_us, one.stored.at_us, one.stored.topic, one.stored.offset))
    said = _Commits(history, records)
    await said.read()
    return Gathered(start, records, said.handled, said.begun, start.envelope.id != wanted)


async def _start(history: History, contract: Contract, wanted: str) -> Found:
    best: tuple[int, int] | None = None
    found: Found | None = None
    async for one in _search(history, contract, wanted):
        how = _how_meant(one, wanted)
        if how is not None and (best is None or (how, one.stored.at_us) < best):
            best, found = (how, one.stored.at_us), one
    if found is None:
        raise DestinationNotFound(
            f"no record has the id {wanted!r}, as its own, its correlation's or in a field; "
            "`hms event list -o json` shows ids"
        )
    return found


def _how_meant(found: Found, wanted: str) -> int | None:
    """Say how an id means a record, best first: its own, its correlation's, one in a field."""
    if found.stored.topic == DEAD_LETTERS:
        return None
    if found.envelope.id == wanted:
        return 0
    if found.envelope.correlation_id == wanted:
        return 1
    return 2 if wanted in found.data.values() else None


def _belongs(found: Found, correlation: str) -> bool:
    return found.envelope.correlation_id == correlation or found.stored.topic == DEAD_LETTERS


async def _search(history: History, contract: Contract, wanted: str) -> AsyncIterator[Found]:
    """Yield every record that holds a text somewhere."""
    needle = wanted.encode()
    ends = (await history.as_of(SEARCHED)).positions
    for (topic, partition), end in ends.items():
        start, _ = await history.bounds(topic, partition)
        async for records in history.records(topic, partition, start, end):
            for stored in records:
                if needle in (stored.value or b"") and not stored.key.startswith(SHARD_KEY):
                    decoded = _decoded(contract, stored)
                    if decoded is not None:
                        yield decoded


def _decoded(contract: Contract, stored: Stored) -> Found | None:
    try:
        envelope, record = contract.decode(stored.value or b"")
    except MalformedRecord:
        return None
    return Found(stored, envelope, record.data if isinstance(record, Unknown) else dict(record))


class _Commits:
    """What commits say of some messages and events: verdicts, and the effects that were begun."""

    def __init__(self, history: History, records: list[Found]) -> None:
        self._history = history
        self._records = records
        self._contract = Contract()
        self._contract.register(Commit, str(Commit.explicit_type))
        self._events = {one.envelope.id for one in records if one.stored.topic == EVENTS}
        self.handled: dict[tuple[str, int, int], Handled] = {}
        self.begun: list[tuple[str, str]] = []

    async def read(self) -> None:
        for shard in sorted({one.stored.partition for one in self._records if one.stored.topic != OUTBOX}):
            await self._shard(shard, [one.stored for one in self._records if one.stored.partition == shard])

    async def _shard(self, shard: int, mine: list[Stored]) -> None:
        """Read a shard's commits from the first of these records until all of them are accounted for."""
        waiting = {(_LANE_OF[one.topic], one.offset) for one in mine if one.topic in _LANE_OF}
        last = max((one.offset for one in mine if one.topic == EVENTS), default=-1)
        since_us = min(one.at_us for one in mine) - 1
        start = (await self._history.as_of((EVENTS,), at_us=since_us)).positions[EVENTS, shard]
        _, end = await self._history.bounds(EVENTS, shard)
        async for _, record in transactions_of(self._history, shard, start, end):
            self._take(shard, commit_fields(self._contract, record.value or b""), waiting)
            if not waiting and record.offset > last:
                return

    def _take(self, shard: int, fields: dict[str, Any], waiting: set[tuple[int, int]]) -> None:
        for given in fields["inputs"]:
            place = (given["lane"], given["offset"])
            if place in waiting:
                waiting.discard(place)
                self.handled[LANES[place[0]], shard, place[1]] = Handled(given["verdict"], fields["now"])
        self.begun += [(one["event"], one["handler"]) for one in fields["begun"] if one["event"] in self._events]
