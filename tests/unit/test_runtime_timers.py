"""Timers: generations, cancelling, crashes, downtime, blocked lanes, and clocks that are wrong."""

import asyncio
from typing import Any

from hms.core.log.port import EVENTS, NORMAL, Draft
from hms.core.log.simulated.broker import STRANGER
from hms.core.runtime.commit_record import SHARD_KEY
from hms.core.runtime.records import TimerFired, TimerSet
from hms.core.runtime.shard_clock import ShardClock
from hms.core.runtime.shard_options import ShardOptions
from hms.core.testing.simulation.cast import SILENCE_MS, SILENCES_MAX, Beat, Watch, app, behaviours, watchdog
from hms.core.testing.virtual_world import NodeProcess, VirtualWorld, play

S = SILENCE_MS / 1_000


def watch(process: NodeProcess, name: str = "w") -> Any:
    cell = process.node.open_shards()[0].memory.actors.get(f"watchdog/{name}")
    return cell.state if cell is not None else None


def found(world: VirtualWorld, kind: type[Any]) -> list[Any]:
    stored = [record for record in world.stored(EVENTS) if not record.key.startswith(SHARD_KEY)]
    decoded = [behaviours().contract.decode(record.value or b"").record for record in stored]
    return [record for record in decoded if isinstance(record, kind)]


def test_a_timer_fires_once_and_not_before_its_time() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        process = await world.start_node(app)
        await client.tell(watchdog("w"), Beat())
        await asyncio.sleep(S - 0.01)
        assert watch(process) == Watch(heard=1, silent=0)
        await asyncio.sleep(0.1)
        assert watch(process) == Watch(heard=1, silent=1)
        await asyncio.sleep(60)
        assert watch(process) == Watch(heard=1, silent=SILENCES_MAX)
        assert len(found(world, TimerFired)) == SILENCES_MAX

    play(history)


def test_setting_a_timer_again_replaces_it_under_a_new_generation() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        process = await world.start_node(app)
        for _ in range(5):
            await client.tell(watchdog("w"), Beat())
            await asyncio.sleep(S - 0.05)
        assert watch(process) == Watch(heard=5, silent=0)
        assert [event.generation for event in found(world, TimerSet)] == [1, 2, 3, 4, 5]
        await asyncio.sleep(0.1)
        assert [event.generation for event in found(world, TimerFired)] == [5]

    play(history)


def test_a_cancelled_timer_never_fires() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        process = await world.start_node(app)
        await client.tell(watchdog("w"), Beat())
        await client.tell(watchdog("w"), Beat(last=True))
        await asyncio.sleep(60)
        assert watch(process) == Watch(heard=1, silent=0)
        assert found(world, TimerFired) == []

    play(history)


def test_a_timer_survives_a_crash_and_a_checkpoint() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        first = await world.start_node(app, name="first", options=ShardOptions(idle_ms=20))
        await client.tell(watchdog("w"), Beat())
        await asyncio.sleep(0.1)  # idle: a checkpoint with the timer is written
        first.kill()
        second = await world.start_node(app, name="second")
        await asyncio.sleep(60)
        assert watch(second) == Watch(heard=1, silent=SILENCES_MAX)

    play(history)


def test_a_downtime_does_not_flood() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        first = await world.start_node(app, name="first")
        await client.tell(watchdog("w"), Beat())
        await asyncio.sleep(0.05)
        first.kill()
        await asyncio.sleep(3_600)
        second = await world.start_node(app, name="second")
        await asyncio.sleep(0.05)
        assert watch(second) == Watch(heard=1, silent=1)  # one for the hour, not one for each period of it
        await asyncio.sleep(S)
        assert watch(second) == Watch(heard=1, silent=2)

    play(history)


def test_what_was_there_when_a_timer_became_due_counts_before_it_even_behind_a_strangers_transaction() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        process = await world.start_node(app)
        await client.tell(watchdog("w"), Beat())
        await asyncio.sleep(0.05)
        hung = world.broker.begin(STRANGER, 3_000)
        world.broker.produce([Draft(NORMAL, 0, b"stranger/1", b"never committed")], hung)
        await client.tell(watchdog("w"), Beat())  # behind it, and there in time
        await asyncio.sleep(2)
        assert watch(process) == Watch(heard=1, silent=0)  # nobody is judged while the lane is hidden
        await asyncio.sleep(1.1)
        assert watch(process) == Watch(heard=2, silent=0)

    play(history)


def test_a_lane_that_stays_blocked_is_no_longer_waited_for() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        process = await world.start_node(app, options=ShardOptions(blocked_lane_ms=1_000))
        await client.tell(watchdog("w"), Beat())
        await asyncio.sleep(0.05)
        hung = world.broker.begin(STRANGER, 3_600_000)
        world.broker.produce([Draft(NORMAL, 0, b"stranger/1", b"never committed")], hung)
        await asyncio.sleep(0.9)
        assert watch(process) == Watch(heard=1, silent=0)
        await asyncio.sleep(0.3)
        first = watch(process).silent
        assert first >= 1
        await asyncio.sleep(0.7)  # the lane was given up: later timers do not wait for it again
        assert watch(process).silent >= first + 1

    play(history)


def test_a_wall_clock_that_jumps_ahead_fires_no_timer_early() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        process = await world.start_node(app)
        await client.tell(watchdog("w"), Beat())
        await asyncio.sleep(0.01)
        process.clock.offset_us = 3_600_000_000
        await asyncio.sleep(0.05)
        assert watch(process) == Watch(heard=1, silent=0)
        await asyncio.sleep(S)
        assert watch(process).silent == 1

    play(history)


def test_time_never_goes_back_whatever_the_next_owners_clock_says() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        first = await world.start_node(app, name="first")
        await client.tell(watchdog("w"), Beat())
        await asyncio.sleep(0.05)
        first.kill()
        second = await world.start_node(app, name="second")
        second.clock.offset_us = -50_000_000  # as far off as it may be
        await client.tell(watchdog("w"), Beat())
        await asyncio.sleep(5)
        commits = [record for record in world.stored(EVENTS) if record.key.startswith(SHARD_KEY)]
        stamps = [behaviours().contract.decode(commit.value or b"").record.now for commit in commits]  # type: ignore[union-attr]
        assert stamps == sorted(stamps)
        assert watch(second).silent == SILENCES_MAX

    play(history)


def test_a_shards_clock_follows_the_wall_by_a_tenth_at_most() -> None:
    async def history(world: VirtualWorld) -> None:
        clock = ShardClock(world.clock, 0)
        start_us = clock.now_us()
        world.clock.offset_us = 10_000_000
        await asyncio.sleep(1)
        assert clock.now_us() - start_us == 1_100_000
        world.clock.offset_us = -10_000_000
        await asyncio.sleep(1)
        assert clock.now_us() - start_us == 2_000_000
        assert ShardClock(world.clock, start_us + 60_000_000).now_us() == start_us + 60_000_000

    play(history)
