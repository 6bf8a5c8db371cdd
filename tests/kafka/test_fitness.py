"""On a real Kafka: a node whose clock is not the brokers' owns nothing, and comes back once it is right."""

import asyncio
import re

import pytest

from hms.core.clock import SystemClock
from hms.core.errors import ClockOff
from hms.core.log.kafka import KafkaLog
from hms.core.runtime import fitness, node
from hms.core.runtime.node import Node
from hms.core.testing.simulation.cast import app

from .fixtures import Server
from .handles import make, opened

DAY_US = 24 * 3_600_000_000


class WrongClock(SystemClock):
    """The machine's, and so many microseconds."""

    off_us = 0

    def wall_us(self) -> int:
        return super().wall_us() + self.off_us


async def owning(one: Node, shards: int) -> None:
    async with asyncio.timeout(60):
        while len(one.open_shards()) != shards:  # noqa: ASYNC110 - a condition with a deadline
            await asyncio.sleep(0.05)


def test_a_node_whose_clock_is_a_day_ahead_of_the_brokers_does_not_start(kafka: Server) -> None:
    async def main() -> None:
        prefix = await make(kafka.bootstrap, 2)
        clock = WrongClock()
        clock.off_us = DAY_US
        async with opened(kafka.bootstrap, prefix) as [log]:
            with pytest.raises(ClockOff, match=r"86[34]\d\d s ahead"):
                await Node(log, [app], name="wrong", clock=clock).start()
            assert abs(await log.clock_us() - SystemClock().wall_us()) < 10_000_000
            assert await log.nodes() == []

    asyncio.run(main())


def test_a_node_whose_clock_goes_wrong_leaves_the_group_and_joins_it_again(
    kafka: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (fitness, node):
        monkeypatch.setattr(module, "LOOK_EVERY_S", 0.5)

    async def main() -> None:
        prefix = await make(kafka.bootstrap, 4)
        async with opened(kafka.bootstrap, prefix) as [one], opened(kafka.bootstrap, prefix) as [two]:
            await play(one, two)

    async def play(one: KafkaLog, two: KafkaLog) -> None:
        clock = WrongClock()
        async with Node(one, [app], name="wrong", clock=clock) as wrong, Node(two, [app], name="right") as right:
            await asyncio.gather(owning(wrong, 2), owning(right, 2))
            clock.off_us = -DAY_US
            await asyncio.gather(owning(wrong, 0), owning(right, 4))
            assert re.search(r"86[34]\d\d s behind", wrong.statistics().unfit)
            clock.off_us = 0
            await asyncio.gather(owning(wrong, 2), owning(right, 2))
            assert wrong.statistics().unfit == ""

    asyncio.run(main())
