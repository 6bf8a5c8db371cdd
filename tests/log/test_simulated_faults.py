"""The simulated log at its worst: each fault strikes, is what it says, and comes again with the same seed."""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest

from hms.core.errors import AppendUnknown, CommitUnknown, HmsError, LogUnreachable, WriterFenced
from hms.core.log import CHECKPOINTS, EVENTS, NORMAL, OUTBOX, Draft, Log, Stored
from hms.core.log.simulated import FAULT_NAMES, Faults, SimulatedBroker
from hms.core.testing.log_conformance.harness import outcome

MINUTE_US = 60_000_000


@dataclass
class ManualClock:
    """Time goes when the test says so."""

    now_us: int = 1_000_000

    def wall_us(self) -> int:
        return self.now_us

    def monotonic_us(self) -> int:
        return self.now_us


def broker(faults: Faults | None = None, seed: int = 1) -> SimulatedBroker:
    return SimulatedBroker(2, clock=ManualClock(), random=Random(seed), faults=faults)  # noqa: S311 faults, not secrets


def later(far: SimulatedBroker, passed_us: int) -> None:
    assert isinstance(far.clock, ManualClock)
    far.clock.now_us += passed_us


def one_fault(name: str) -> Faults:
    certain: dict[str, Any] = {name: 1.0}
    return Faults(**certain)


async def something_in(log: Log) -> None:
    """Wait until a commit under way has produced its first record."""
    while not (await log.watermarks(EVENTS, 0)).high:  # noqa: ASYNC110 step by step
        await asyncio.sleep(0)


def numbered(number: int, *topics: str) -> list[Draft]:
    return [Draft(topic, 0, b"key", str(number).encode()) for topic in topics]


async def committed(log: Log, topic: str) -> list[Stored]:
    return (await log.read(topic, 0, 0, records_max=10**6)).records


def numbers(records: list[Stored]) -> list[int]:
    return [int(record.value or b"") for record in records if record.key == b"key"]


async def work(far: SimulatedBroker, rounds: int) -> tuple[list[int], set[int], Counter[str]]:
    """Commit numbers as a shard's owner would, opening again after each error; return those known and those unknown."""
    log, known, unknown, errors = far.connect("one"), [], set(), Counter[str]()
    member: Any = None
    writer: Any = None
    for number in range(rounds):
        later(far, 100_000)
        try:
            member = member or await log.join("one")
            await member.wait_changed((await member.assignment()).generation, 0)
            await log.append(numbered(number, NORMAL))
            await log.read(NORMAL, 0, 0)
            writer = writer or await log.open_writer(0, "one")
            await writer.commit(numbered(number, EVENTS, OUTBOX))
            known.append(number)
        except HmsError as error:
            errors[type(error).__name__] += 1
            writer = None if not isinstance(error, AppendUnknown) else writer
            unknown |= {number} if isinstance(error, CommitUnknown) else set()
    far.faults = Faults()
    later(far, MINUTE_US)
    await log.open_writer(0, "one")
    return known, unknown, errors


def test_under_all_faults_a_commit_is_whole_and_its_answer_is_true() -> None:
    async def main() -> None:
        strikes = Counter[str]()
        for seed in range(30):
            far = broker(replace(Faults.all(0.05), delay_ms_max=1), seed)
            known, unknown, _ = await work(far, 60)
            events = numbers(await committed(far.connect("two"), EVENTS))
            assert events == numbers(await committed(far.connect("two"), OUTBOX))
            assert events == sorted(set(events))
            assert set(known) <= set(events) <= set(known) | unknown
            strikes += far.strikes
        assert sorted(strikes) == sorted(FAULT_NAMES), "a fault never struck"

    asyncio.run(main())


def test_one_seed_gives_one_history() -> None:
    async def history(seed: int) -> Any:
        far = broker(replace(Faults.all(0.1), delay_ms_max=1), seed)
        result = await work(far, 80)
        return (
            result,
            far.strikes,
            await committed(far.connect("two"), EVENTS),
            await committed(far.connect("two"), NORMAL),
        )

    assert asyncio.run(history(5)) == asyncio.run(history(5))
    assert asyncio.run(history(5)) != asyncio.run(history(6))


@pytest.mark.parametrize(
    ("fault", "error", "visible"),
    [
        ("append_lost", AppendUnknown, []),
        ("append_ack_lost", AppendUnknown, [7]),
        ("append_duplicated", None, [7, 7]),
        ("unreachable", LogUnreachable, []),
        ("clock_skewed", None, [7]),
    ],
)
def test_a_fault_of_an_append_is_what_it_says(fault: str, error: type[HmsError] | None, visible: list[int]) -> None:
    async def main() -> None:
        far = broker(one_fault(fault))
        log = far.connect("one")
        struck = await outcome(log.append(numbered(7, NORMAL)))
        assert type(struck) is (error or list)
        far.faults = Faults()
        assert numbers(await committed(log, NORMAL)) == visible
        assert far.strikes == {fault: 1}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("fault", "error", "visible"),
    [
        ("commit_aborted", LogUnreachable, []),
        ("commit_lost", CommitUnknown, []),
        ("commit_ack_lost", CommitUnknown, [7]),
        ("marker_late", None, [7]),
    ],
)
def test_a_fault_of_a_commit_is_what_it_says(fault: str, error: type[HmsError] | None, visible: list[int]) -> None:
    async def main() -> None:
        far = broker(one_fault(fault))
        log = far.connect("one")
        writer = await log.open_writer(0, "one")
        struck = await outcome(writer.commit(numbered(7, EVENTS)))
        assert type(struck) is (error or list)
        if error:
            with pytest.raises(WriterFenced, match="dead"):
                await writer.commit([])
        hidden = fault in ("commit_lost", "marker_late")
        marks = await log.watermarks(EVENTS, 0)
        assert (marks.stable < marks.high) == hidden
        assert numbers(await committed(log, EVENTS)) == ([] if hidden else visible)
        await log.open_writer(0, "two")
        assert numbers(await committed(log, EVENTS)) == visible
        assert marks.high > 0, "an aborted record takes an offset too"

    asyncio.run(main())


def test_compaction_leaves_alone_what_is_still_hidden() -> None:
    async def main() -> None:
        far = broker(Faults(marker_late=1.0))
        log = far.connect("one")
        await (await log.open_writer(0, "one")).commit(numbered(1, CHECKPOINTS))
        await log.compact(CHECKPOINTS, 0, (await log.watermarks(CHECKPOINTS, 0)).high)
        assert numbers(await committed(log, CHECKPOINTS)) == []
        await log.open_writer(0, "two")
        assert numbers(await committed(log, CHECKPOINTS)) == [1]

    asyncio.run(main())


def test_a_crash_in_a_commit_hides_what_is_behind_it_until_the_transaction_times_out() -> None:
    async def main() -> None:
        far = broker()
        one, two = far.connect("one"), far.connect("two")
        writer = await one.open_writer(0, "one")
        commit = asyncio.create_task(writer.commit([*numbered(1, EVENTS), *numbered(2, EVENTS)]))
        await something_in(two)
        far.crash("one")
        with pytest.raises(LogUnreachable, match="crashed"):
            await commit
        await two.append(numbered(3, EVENTS))
        assert numbers(await committed(two, EVENTS)) == []
        later(far, 10_000_000)
        assert numbers(await committed(two, EVENTS)) == [3]
        with pytest.raises(LogUnreachable):
            await one.append(numbered(4, EVENTS))

    asyncio.run(main())


def test_a_writer_whose_transaction_timed_out_is_fenced() -> None:
    async def main() -> None:
        far = broker()
        writer = await far.connect("one").open_writer(0, "one")
        commit = asyncio.create_task(writer.commit(numbered(1, EVENTS, OUTBOX)))
        await something_in(far.connect("two"))
        later(far, 10_000_000)
        with pytest.raises(WriterFenced):
            await commit

    asyncio.run(main())


def test_a_strangers_transaction_is_not_ended_by_opening_shards() -> None:
    async def main() -> None:
        far = broker(Faults(stranger_hangs=1.0))
        log = far.connect("one")
        hung: list[tuple[str, int]] = []
        while not hung:
            await log.append(numbered(1, NORMAL))
            hung = [key for key, found in far._partitions.items() if found.stable < found.high]
        far.faults = Faults()
        for shard in (0, 1):
            await log.open_writer(shard, "one")
        assert (await log.watermarks(*hung[0])).stable < (await log.watermarks(*hung[0])).high
        later(far, MINUTE_US)
        assert (await log.watermarks(*hung[0])).stable == (await log.watermarks(*hung[0])).high
        assert b"stranger/1" not in [record.key for record in (await log.read(*hung[0], 0)).records]

    asyncio.run(main())


def test_a_zombie_believes_that_it_owns_what_the_authority_gave_to_another() -> None:
    async def main() -> None:
        far = broker(Faults(membership_stale=1.0))
        zombie = await far.connect("one").join("one")
        old = await zombie.assignment()
        other = await far.connect("two").join("two")
        far.pause("one")
        later(far, 5_000_000)
        assert (await zombie.assignment()).shards == old.shards == {0, 1}
        assert not await zombie.confirm(0, old.generation)
        far.faults = Faults()
        later(far, 10_000_000)
        assert (await other.assignment()).shards == {0, 1}
        assert (await zombie.assignment()).shards == frozenset()

    asyncio.run(main())
