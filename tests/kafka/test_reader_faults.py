"""Brokers that stop, pause, come back and hand their partitions over: readers say so in time, or go on by themselves."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable

import pytest

from hms.core.errors import LogUnreachable, OutsideError
from hms.core.log import NORMAL, Draft
from hms.core.log.kafka import KafkaAddress, KafkaLog

from .broker import Broker, Cluster
from .logs import make_log, opened

HERE = (NORMAL, 1)
DEADLINE_S = 1.5
pytestmark = pytest.mark.timeout(400)  # brokers on a busy machine take their time to start, and to move


def fresh(bootstrap: str) -> str:
    return f"kafka://{bootstrap}/t{uuid.uuid4().hex[:12]}"


def draft(value: str) -> Draft:
    return Draft(*HERE, b"k", value.encode())


async def reads(log: KafkaLog, position: int, last: str, seconds: float = 150) -> list[str]:
    """Follow the place as a shard does until that record came; what fails is tried again.

    Each value is told once: an append whose answer was lost was tried again.
    """
    found: list[str] = []
    async with asyncio.timeout(seconds):
        while last not in found:
            try:
                await log.wait({HERE: position}, 1_000)
                part = await log.read(*HERE, position)
            except OutsideError:
                continue
            found += [(record.value or b"").decode() for record in part.records]
            position = part.position
    return list(dict.fromkeys(found))


async def appends(log: KafkaLog, *values: str) -> None:
    for value in values:
        async with asyncio.timeout(120):
            while True:
                try:
                    await log.append([draft(value)])
                    break
                except OutsideError:
                    await asyncio.sleep(0.1)


async def soonest(call: Callable[[], Awaitable[object]], seconds: float) -> float:
    """Return how long a call takes: the first of three that is in time, for the machine may have been busy."""
    for _ in range(3):
        began = time.monotonic()
        await call()
        if (took := time.monotonic() - began) < seconds:
            break
    return took


async def refused(call: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(LogUnreachable, match=r"within 1\.5 s"):
        await call()


def test_a_paused_broker_gives_log_unreachable_within_the_deadline_and_nothing_hangs(broker: Broker) -> None:
    url = fresh(broker.bootstrap)

    async def main() -> None:
        await make_log(url)
        async with opened(url) as log:
            await log.append([draft("a")])
            log._cluster.deadline_s = DEADLINE_S
            broker.pause()
            calls: list[Callable[[], Awaitable[object]]] = [
                lambda: log.read(*HERE, 0),
                lambda: log.watermarks(*HERE),
                lambda: log.get_setting("fleet"),
                lambda: log.put_setting("fleet", "shop", expected=None),
                lambda: log.trim(*HERE, 1),
                lambda: KafkaLog.open(url, deadline_s=DEADLINE_S),
            ]
            for call in calls:
                assert await soonest(lambda call=call: refused(call), DEADLINE_S + 1) < DEADLINE_S + 1
            assert 0.25 < await soonest(lambda: log.wait({HERE: 1}, 300), 1.5) < 1.5
            broker.resume()
            assert await reads(log, 0, "a") == ["a"]

    asyncio.run(main())


def test_closing_a_handle_on_a_paused_broker_takes_no_longer_than_a_moment(broker: Broker) -> None:
    url = fresh(broker.bootstrap)

    async def main() -> None:
        await make_log(url)
        async with opened(url) as log:
            log._cluster.deadline_s = DEADLINE_S
            waiting = asyncio.create_task(log.wait({HERE: 0}, 60_000))
            await log.wait({HERE: 0}, 50)
            broker.pause()
            began = time.monotonic()
            await log.close()
            assert time.monotonic() - began < 8
            await waiting
        broker.resume()

    asyncio.run(main())


def test_a_reader_goes_on_where_it_was_after_its_broker_was_killed_and_started_again(broker: Broker) -> None:
    url = fresh(broker.bootstrap)

    async def main() -> None:
        await make_log(url)
        async with opened(url) as log:
            reading = asyncio.create_task(reads(log, 0, "d"))
            await appends(log, "a", "b")
            await asyncio.to_thread(broker.restart)
            await appends(log, "c", "d")
            found = await reading
            assert found == ["a", "b", "c", "d"]

    asyncio.run(main())


def test_a_reader_follows_the_leader_of_its_partition(cluster: Cluster) -> None:
    url = fresh(cluster.bootstrap)
    topic = KafkaAddress.parse(url).topic(NORMAL)

    async def main() -> None:
        await make_log(url)
        async with opened(url) as log, opened(url) as other:
            reading = asyncio.create_task(reads(log, 0, "c"))
            await appends(other, "a")
            before = cluster.leader(topic, 1)
            after = await asyncio.to_thread(cluster.move_leader, topic, 1)
            assert before is not after
            await appends(other, "b")
            assert (await log.watermarks(*HERE)).high >= 2
            await asyncio.to_thread(after.kill)
            await appends(other, "c")
            found = await reading
            assert found == ["a", "b", "c"]
            assert found[0] == (await log.read(*HERE, 0)).records[0].value.decode()  # type: ignore[union-attr]

    asyncio.run(main())


def test_a_log_is_opened_while_one_of_its_brokers_is_away_and_while_one_is_paused(cluster: Cluster) -> None:
    url = fresh(cluster.bootstrap)

    async def main() -> None:
        await make_log(url)
        cluster.brokers[0].kill()
        async with opened(url, 20.0) as log:
            await appends(log, "a")
            assert await reads(log, 0, "a") == ["a"]
        await asyncio.to_thread(cluster.heal)
        cluster.brokers[1].pause()
        async with opened(url, 30.0) as log:
            await appends(log, "b")
            assert await reads(log, 0, "b") == ["a", "b"]

    asyncio.run(main())
