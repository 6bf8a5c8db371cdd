"""A state machine drives several backends with the same operations and demands equal answers: here those of one process.

Offsets differ where a log has markers, so records are known by their number: the n-th that was ever written there.
"""

import asyncio
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hms.core.errors import HmsError, PositionTrimmed
from hms.core.log import CHECKPOINTS, EVENTS, NORMAL, Draft, Log, Writer
from hms.core.log.simulated import SimulatedBroker
from hms.core.log.sqlite import SqliteLog

PARTITIONS = 2
PLACES = [(topic, number) for topic in (NORMAL, EVENTS, CHECKPOINTS) for number in range(PARTITIONS)]
shards = st.integers(0, PARTITIONS - 1)
places = st.sampled_from(PLACES)
numbers = st.integers(0, 6) | st.integers(0, 40)
keys = st.sampled_from([b"", b"k", b"\xc3\xa9"])
records = st.builds(lambda place, key, value: Draft(*place, key, value), places, keys, st.binary(max_size=3))
checkpoints = st.builds(Draft, st.just(CHECKPOINTS), shards, keys, st.none() | st.binary(max_size=3))
batches = st.lists(records | checkpoints, max_size=6)
commits = st.lists(records | checkpoints, min_size=1, max_size=6)
names = st.sampled_from(["a", "b"])


class Backend:
    """A log, its newest two writers a shard, and the offset of each record by its number."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.writers: defaultdict[int, list[Writer]] = defaultdict(list)
        self.offsets: dict[tuple[str, int], list[int]] = {place: [] for place in PLACES}

    def note(self, drafts: list[Draft], offsets: list[int]) -> list[int]:
        """Return the records' numbers."""
        found = []
        for draft, offset in zip(drafts, offsets, strict=True):
            known = self.offsets[draft.topic, draft.partition]
            assert not known or offset > known[-1]
            found.append(len(known))
            known.append(offset)
        return found

    def at(self, place: tuple[str, int], number: int) -> int:
        """Return the offset of that record, or one behind the last."""
        known = self.offsets[place]
        return known[number] if number < len(known) else (known[-1] + 1 if known else 0)

    async def everything(self, place: tuple[str, int], position: int, records_max: int) -> Any:
        """Return all records from that position on, as numbers and contents; or that they are gone."""
        found = []
        await self.settled(place)
        try:
            while (part := await self.log.read(*place, position, records_max=records_max)).position != position:
                found += [(self.offsets[place].index(r.offset), r.key, r.value, r.headers) for r in part.records]
                position = part.position
        except PositionTrimmed:
            return "trimmed"
        assert position == (await self.log.watermarks(*place)).high
        return found

    async def settled(self, place: tuple[str, int]) -> None:
        """Wait until the markers of what is committed are written: a broker answers before that."""
        async with asyncio.timeout(60):
            while (marks := await self.log.watermarks(*place)).stable < marks.high:
                await self.log.wait({place: marks.stable}, 100)


class Agreement(RuleBasedStateMachine):
    cleans = True
    """Whether every backend compacts, and trims compacted topics, when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.backends = self.runner.run(self.open_all())
        self.openings = [0] * PARTITIONS

    async def open_all(self) -> list[Backend]:
        sqlite = await SqliteLog.open(self.folder / "log.db", partitions=PARTITIONS)
        return [Backend(sqlite), Backend(SimulatedBroker(PARTITIONS).connect("one"))]

    def teardown(self) -> None:
        for backend in self.backends:
            self.runner.run(backend.log.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def all(self, operation: Any) -> Any:
        first, *others = [self.runner.run(_answer(operation(backend))) for backend in self.backends]
        assert all(other == first for other in others), (first, others)
        return first

    @rule(drafts=batches)
    def append(self, drafts: list[Draft]) -> None:
        async def append(backend: Backend) -> list[int]:
            return backend.note(drafts, await backend.log.append(drafts))

        self.all(append)

    @rule(shard=shards)
    def open_writer(self, shard: int) -> None:
        async def open_writer(backend: Backend) -> bool:
            writers = backend.writers[shard]
            writers.append(await backend.log.open_writer(shard, "one"))
            return all(writers[-1].epoch > writer.epoch for writer in writers[:-1])

        assert self.all(open_writer) is True
        self.openings[shard] += 1

    @precondition(lambda self: any(self.openings))
    @rule(shard=shards, drafts=commits, back=st.integers(1, 2))
    def commit(self, shard: int, drafts: list[Draft], back: int) -> None:
        if self.openings[shard] < back:
            return

        async def commit(backend: Backend) -> list[int]:
            return backend.note(drafts, await backend.writers[shard][-back].commit(drafts))

        assert (self.all(commit) == "WriterFenced") == (back > 1)

    @rule(place=places, number=numbers)
    def trim(self, place: tuple[str, int], number: int) -> None:
        if place[0] == CHECKPOINTS and not self.cleans:
            return
        self.all(lambda backend: backend.log.trim(*place, backend.at(place, number)))

    @precondition(lambda self: self.cleans)
    @rule(number=numbers, partition=shards)
    def compact(self, number: int, partition: int) -> None:
        self.all(lambda b: b.log.compact(CHECKPOINTS, partition, b.at((CHECKPOINTS, partition), number)))

    @rule(name=names, value=names, expected=st.none() | names)
    def put_setting(self, name: str, value: str, expected: str | None) -> None:
        self.all(lambda backend: backend.log.put_setting(name, value, expected=expected))
        self.all(lambda backend: backend.log.get_setting(name))

    @rule(place=places, number=numbers, records_max=st.integers(1, 9))
    def read(self, place: tuple[str, int], number: int, records_max: int) -> None:
        self.all(lambda backend: backend.everything(place, backend.at(place, number), records_max))

    @invariant()
    def what_is_left_is_the_same(self) -> None:
        for place in PLACES:
            self.all(lambda backend, place=place: _kept(backend, place))


async def _kept(backend: Backend, place: tuple[str, int]) -> Any:
    return await backend.everything(place, (await backend.log.watermarks(*place)).start, 500)


async def _answer(call: Any) -> Any:
    try:
        return await call
    except HmsError as error:
        return type(error).__name__


Agreement.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAgreement = Agreement.TestCase
