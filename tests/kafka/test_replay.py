"""The past of a log on a real Kafka: markers between the offsets, headers with the messages."""

import asyncio
import time
from pathlib import Path

from hms.core.app import App
from hms.core.log.port import CO_PARTITIONED, Log
from hms.core.log.sqlite import SqliteLog
from hms.core.log.sqlite.copying import write_log
from hms.core.runtime.installed import Behaviours
from hms.core.runtime.shard_options import ShardOptions
from hms.replay.fork.compare import deviations
from hms.replay.fork.cutting import Taken, take
from hms.replay.fork.inject import Due
from hms.replay.fork.world import ForkWorld
from hms.replay.history import History
from hms.replay.past.actor import Past
from hms.replay.past.cut import cut_at
from hms.replay.past.moment import Moment, moment_of
from hms.replay.schemas import learn_schemas
from hms.replay.verify.shard import ShardVerification, verify_shard

from ..replay.archived import count, counters
from .logs import make_log, opened

APPS: list[App] = [counters]
FAR_US = 1 << 55


async def verified(log: Log) -> list[ShardVerification]:
    behaviours = Behaviours(APPS)
    history = History(log)
    await learn_schemas(history, behaviours.contract)
    return [await verify_shard(history, behaviours, shard, ShardOptions()) for shard in range(log.partitions)]


async def high_marks(log: Log) -> list[int]:
    places = [(topic, shard) for topic in CO_PARTITIONED for shard in range(log.partitions)]
    return [(await log.watermarks(*place)).high for place in places]


def test_everything_on_kafka_comes_out_as_recorded_and_nothing_is_written(kafka_url: str) -> None:
    async def main() -> None:
        await make_log(kafka_url)
        async with opened(kafka_url) as log:
            await count(log, 60)
            before = await high_marks(log)
            found = await verified(log)
            assert sum(one.inputs for one in found) == 60
            assert [one.divergences for one in found] == [{}] * len(found)
            assert sum(len(one.doubts) + one.sends_unchecked for one in found) == 0
            past = Past(History(log), APPS)
            await past.learn()
            moment: Moment = await moment_of(past.history, past.shard_of("counter/1"), at_us=FAR_US)
            seen = await past.actor("counter/1", moment)
            assert seen is not None
            assert (seen.state.total, seen.event_count) == (sum(range(1, 60, 5)), 12)
            assert await high_marks(log) == before

    asyncio.run(main())


def test_a_fork_of_a_log_on_kafka_is_an_embedded_one_that_goes_on_from_the_same_places(
    kafka_url: str, tmp_path: Path
) -> None:
    async def cut() -> tuple[Taken, int]:
        await make_log(kafka_url)
        async with opened(kafka_url) as log:
            await count(log, 30)
            at_us = time.time_ns() // 1_000
            await asyncio.sleep(0.01)
            await count(log, 30)
            return await take(History(log), at_us, FAR_US), at_us

    async def compare(world: ForkWorld, taken: Taken) -> None:
        forked = await SqliteLog.open(tmp_path / "fork.db")
        async with opened(kafka_url) as log:
            real = History(log)
            assert (await cut_at(real, taken.cut.at_us)).points == taken.cut.points
            assert await deviations(real, History(forked), world.behaviours, taken.cut, FAR_US) == []
        assert sum(one.inputs for one in await verified(forked)) == 60
        assert [one.divergences for one in await verified(forked)] == [{}] * forked.partitions
        await forked.close()

    taken, _ = asyncio.run(cut())
    assert len(taken.outside) == 30
    world = ForkWorld(taken, APPS)
    inputs = [Due.of(one) for one in taken.outside]
    world.run(inputs, inputs[-1].at_us)
    write_log(tmp_path / "fork.db", world.copy())
    asyncio.run(compare(world, taken))
