"""The log's records as items: read without the code that wrote them, merged over partitions by append time."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final, NamedTuple

from ...core.errors import PositionTrimmed
from ...core.log.port import CO_PARTITIONED, Log, Stored
from ...core.runtime.housekeeping import first_offset_since
from ...core.runtime.schema_store import SchemaStore
from ...schemas import Contract, Envelope, MalformedRecord, Unknown
from .plain_value import envelope_item, instant_of_us, plain

READ_RECORDS: Final = 1_000
WAIT_MS: Final = 1_000

Place = tuple[str, int]
"""Topic and partition."""


class Entry(NamedTuple):
    """A record of the log; one that cannot be read has no envelope, and `data` says why."""

    stored: Stored
    envelope: Envelope | None
    data: Mapping[str, Any]

    def item(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "topic": self.stored.topic,
            "partition": self.stored.partition,
            "offset": self.stored.offset,
            "appended_at": instant_of_us(self.stored.at_us),
            "envelope": None if self.envelope is None else envelope_item(self.envelope),
            "data": plain(self.data),
        }

    @property
    def order(self) -> tuple[int, str, int, int]:
        """What sorts entries: append time, then place."""
        return self.stored.at_us, self.stored.topic, self.stored.partition, self.stored.offset


class Journal:
    """Reads any topic of a log; types come from the schemas in it."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self._contract = Contract()
        self._schemas = SchemaStore(log, self._contract)

    async def starts(self, topics: Iterable[str], *, since_us: int | None = None) -> dict[Place, int]:
        """Return the first positions that are kept, or the first whose record was appended at `since_us` or later."""
        places = [(topic, partition) for topic in topics for partition in range(self.log.partitions)]
        return {place: await self._start(place, since_us) for place in places}

    async def ends(self, topics: Iterable[str]) -> dict[Place, int]:
        """Return the positions behind the last committed records."""
        places = [(topic, partition) for topic in topics for partition in range(self.log.partitions)]
        return {place: (await self.log.watermarks(*place)).stable for place in places}

    async def until(self, positions: dict[Place, int], ends: Mapping[Place, int]) -> AsyncIterator[Entry]:
        """Yield what lies between two positions of each partition, in the order of `Entry.order`."""
        heads = {place: _Head() for place in positions}
        while True:
            for place, head in heads.items():
                if not head.entries and not head.done:
                    await self._fill(place, head, positions, ends[place])
            waiting = [head for head in heads.values() if head.entries]
            if not waiting:
                return
            yield min(waiting, key=lambda head: head.entries[-1].order).entries.pop()

    async def follow(self, positions: dict[Place, int]) -> AsyncIterator[Entry]:
        """Yield what comes after some positions, for ever, sorted as far as it is there at once."""
        while True:
            ends = await self.ends({topic for topic, _ in positions})
            async for entry in self.until(positions, ends):
                yield entry
            await self.log.wait(positions, WAIT_MS)

    async def decoded(self, stored: Stored) -> Entry:
        """Return a record with its envelope and fields."""
        value = stored.value or b""
        if not self._contract.knows(int.from_bytes(value[1:5], "big")):
            await self._schemas.refresh()
        try:
            envelope, record = self._contract.decode(value)
        except MalformedRecord as error:
            return Entry(stored, None, {"malformed": str(error), "value": value})
        return Entry(stored, envelope, record.data if isinstance(record, Unknown) else plain(record))

    async def _fill(self, place: Place, head: "_Head", positions: dict[Place, int], end: int) -> None:
        """Read the next batch of a partition; its entries are kept newest first, to be popped from the end."""
        while positions[place] < end and not head.entries:
            try:
                read = await self.log.read(*place, positions[place], records_max=READ_RECORDS)
            except PositionTrimmed as trimmed:  # trimmed while we read: what is gone is gone
                positions[place] = trimmed.start
                continue
            if read.position == positions[place]:
                break
            positions[place] = read.position
            wanted = [stored for stored in read.records if stored.offset < end]
            head.entries = [await self.decoded(stored) for stored in reversed(wanted)]
        head.done = not head.entries

    async def _start(self, place: Place, since_us: int | None) -> int:
        if since_us is None:
            return (await self.log.watermarks(*place)).start
        return await first_offset_since(self.log, *place, since_us)


class _Head:
    """What was read of a partition and not yielded yet, newest first."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.done = False


def topics_named(names: Iterable[str]) -> tuple[str, ...]:
    """Return the topics that are meant: `hms.events`, short `events`; `inbox` is all lanes, `all` is everything.

    Raises `KeyError` for a name that means none.
    """
    found: list[str] = []
    for name in names:
        full = name if name.startswith("hms.") else f"hms.{name}"
        matching = [topic for topic in CO_PARTITIONED if name == "all" or topic == full or topic.startswith(f"{full}.")]
        if not matching:
            raise KeyError(name)
        found.extend(topic for topic in matching if topic not in found)
    return tuple(found)
