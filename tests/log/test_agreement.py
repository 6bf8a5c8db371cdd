"""A state machine drives both backends with the same operations and demands equal answers.

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

    async def everything(self, place: tuple[str, int], number: int, records_max: int) -> Any:
        """Return all records from that one on, as numbers and contents; or that they are gone."""
        position, found = self.at(place, number), []
        try:
            while (part := await self.log.read(*place, position, records_max=records_max)).position != position:
                found += [(self.offsets[place].index(r.offset), r.key, r.value, r.headers) for r in part.records]
                position = part.position
        except PositionTrimmed:
            return "trimmed"
        assert position == (await self.log.watermarks(*place)).high
        return found


class Agreement(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.backends = self.runner.run(self.open_both())
        self.openings = [0] * PARTITIONS

    async def open_both(self) -> list[Backend]:
        sqlite = await SqliteLog.open(self.folder / "log.db", partitions=PARTITIONS)
        return [Backend(sqlite), Backend(SimulatedBroker(PARTITIONS).connect("one"))]

    def teardown(self) -> None:
        for backend in self.backends:
            self.runner.run(backend.log.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def both(self, operation: Any) -> Any:
        answers = [self.runner.run(_answer(operation(backend))) for backend in self.backends]
        assert answers[0] == answers[1]
        return answers[0]

    @rule(drafts=batches)
    def append(self, drafts: list[Draft]) -> None:
        async def append(backend: Backend) -> list[int]:
            return backend.note(drafts, await backend.log.append(drafts))

        self.both(append)

    @rule(shard=shards)
    def open_writer(self, shard: int) -> None:
        async def open_writer(backend: Backend) -> int:
            backend.writers[shard].append(await backend.log.open_writer(shard, "one"))
            return backend.writers[shard][-1].epoch

        self.both(open_writer)
        self.openings[shard] += 1

    @precondition(lambda self: any(self.openings))
    @rule(shard=shards, drafts=batches, back=st.integers(1, 2))
    def commit(self, shard: int, drafts: list[Draft], back: int) -> None:
        if self.openings[shard] < back:
            return

        async def commit(backend: Backend) -> list[int]:
            return backend.note(drafts, await backend.writers[shard][-back].commit(drafts))

        assert (self.both(commit) == "WriterFenced") == (back > 1)

    @rule(place=places, number=numbers)
    def trim(self, place: tuple[str, int], number: int) -> None:
        self.both(lambda backend: backend.log.trim(*place, backend.at(place, number)))

    @rule(number=numbers, partition=shards)
    def compact(self, number: int, partition: int) -> None:
        self.both(lambda b: b.log.compact(CHECKPOINTS, partition, b.at((CHECKPOINTS, partition), number)))

    @rule(name=names, value=names, expected=st.none() | names)
    def put_setting(self, name: str, value: str, expected: str | None) -> None:
        self.both(lambda backend: backend.log.put_setting(name, value, expected=expected))
        self.both(lambda backend: backend.log.get_setting(name))

    @rule(place=places, number=numbers, records_max=st.integers(1, 9))
    def read(self, place: tuple[str, int], number: int, records_max: int) -> None:
        self.both(lambda backend: backend.everything(place, number, records_max))

    @invariant()
    def what_is_left_is_the_same(self) -> None:
        for place in PLACES:
            self.both(lambda backend, place=place: _kept(backend, place))


async def _kept(backend: Backend, place: tuple[str, int]) -> Any:
    position = (await backend.log.watermarks(*place)).start
    found = await backend.log.read(*place, position)
    return [(backend.offsets[place].index(record.offset), record.key, record.value) for record in found.records]


async def _answer(call: Any) -> Any:
    try:
        return await call
    except HmsError as error:
        return type(error).__name__


Agreement.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAgreement = Agreement.TestCase
