"""Following the ends of many places at once: nothing is missed, nothing comes twice, and news come at once."""

import asyncio
import random

import pytest

from hms.core.errors import HmsError
from hms.core.log import CRITICAL, EVENTS, NORMAL, OUTBOX, Draft, Log
from hms.core.log.kafka import KafkaLog, cluster, pump, tail

from .logs import make_log, opened

pytestmark = pytest.mark.timeout(300)
PLACES = [(topic, number) for topic in (NORMAL, CRITICAL, EVENTS) for number in range(4)]
Place = tuple[str, int]


def real(values: list[str]) -> list[str]:
    return [value for value in values if not value.startswith("cut")]


async def follow(log: Log, places: list[Place], counts: dict[Place, int], seed: int) -> dict[Place, list[str]]:
    """Read the places as a shard does, waiting at each one's end, until so many records of each have come."""
    choose = random.Random(seed)  # noqa: S311
    positions = dict.fromkeys(places, 0)
    seen: dict[Place, list[str]] = {place: [] for place in places}
    async with asyncio.timeout(200):
        while any(len(real(seen[place])) < counts[place] for place in places):
            await log.wait(positions, choose.choice([1, 20, 1_000]))
            for place in choose.sample(places, choose.randint(1, len(places))):
                found = await log.read(*place, positions[place], records_max=choose.choice([1, 7, 500]))
                seen[place] += [(record.value or b"").decode() for record in found.records]
                positions[place] = found.position
    return seen


async def write_by_commits(log: KafkaLog, shard: int, values: list[str], seed: int) -> None:
    """Write to a shard's places by transactions, before some of which another one is cut off: it is seen everywhere, or nowhere."""
    choose = random.Random(seed)  # noqa: S311
    places = [place for place in PLACES if place[1] == shard]
    left = list(values)
    while left:
        writer = await log.open_writer(shard, "one")
        doomed = asyncio.create_task(
            writer.commit([Draft(*place, b"k", f"cut{len(left)}".encode()) for place in places])
        )
        for _ in range(choose.randint(0, 150)):
            await asyncio.sleep(0)
        doomed.cancel()
        await asyncio.gather(doomed, return_exceptions=True)
        writer = await log.open_writer(shard, "one")
        for _ in range(choose.randint(1, 12)):
            part, left = left[:3], left[3:]
            await writer.commit([Draft(*place, b"k", value.encode()) for value in part for place in places])


async def write_by_appends(log: KafkaLog, place: Place, values: list[str]) -> None:
    for value in values:
        await log.append([Draft(*place, b"k", value.encode())])


def test_every_reader_gets_every_record_once_and_in_order_whatever_is_aborted_between(kafka_url: str) -> None:
    values = [f"{n}" for n in range(60)]
    appended = [(OUTBOX, number) for number in range(4)]
    everywhere = [*PLACES, *appended]

    async def main() -> None:
        await make_log(kafka_url, 4)
        async with opened(kafka_url) as log, opened(kafka_url) as other:
            counts = {place: len(values) for place in everywhere}
            readers = [
                follow(log, everywhere, counts, 1),
                follow(log, everywhere, counts, 2),  # of the same tails
                *[follow(log, [place], counts, 3) for place in everywhere],
                follow(other, everywhere, counts, 4),
            ]
            writers = [write_by_commits(log, shard, values, shard) for shard in range(4)]
            writers += [write_by_appends(other, place, values) for place in appended]
            results = await asyncio.gather(*readers, *writers)
            for seen in results[: len(readers)]:
                assert seen is not None
                assert all(real(found) == values for found in seen.values()), seen
            whole = results[0] or {}
            for topic, number in everywhere:
                assert all(
                    seen.get((topic, number), whole[topic, number]) == whole[topic, number] for seen in results if seen
                )
            for topic, number in PLACES:
                assert whole[topic, number] == whole[NORMAL, number]

    asyncio.run(main())


def test_news_of_a_place_that_is_new_among_those_polled_come_before_the_poll_in_flight_is_over(
    kafka_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "WAIT_MS", 40_000)
    monkeypatch.setattr(cluster, "REQUEST_MS", 60_000)

    async def main() -> None:
        await make_log(kafka_url)
        async with opened(kafka_url) as log, opened(kafka_url) as writer:
            positions = {(NORMAL, 0): 0}
            first = asyncio.create_task(log.wait(positions, 60_000))
            await log.wait(positions, 200)
            for place in [(CRITICAL, 0), (EVENTS, 1)]:
                positions = {**positions, place: 0}
                waiting = asyncio.create_task(log.wait(positions, 60_000))
                await log.wait(positions, 200)
                await writer.append([Draft(*place, b"k", b"v")])
                async with asyncio.timeout(20):
                    await waiting
                positions[place] = (await log.read(*place, 0)).position
                assert positions[place] == 1
            assert not first.done()

    asyncio.run(main())


def test_a_reader_that_is_megabytes_behind_catches_up_and_then_hears_of_news(kafka_url: str) -> None:
    place = (NORMAL, 1)

    async def main() -> None:
        await make_log(kafka_url)
        async with opened(kafka_url) as log, opened(kafka_url) as writer:
            await log.wait({place: 0}, 50)
            for n in range(8):
                await writer.append([Draft(*place, b"k", bytes([n]) * 600_000) for _ in range(2)])
            await log.wait({place: 0}, 20_000)
            position, seen = 0, []
            while len(seen) < 16:
                found = await log.read(*place, position, records_max=3)
                seen += [(record.value or b"")[0] for record in found.records]
                if found.position == position:
                    await log.wait({place: position}, 1_000)
                position = found.position
            assert seen == [n for n in range(8) for _ in range(2)]
            waiting = asyncio.create_task(log.wait({place: position}, 60_000))
            await writer.append([Draft(*place, b"k", b"news")])
            async with asyncio.timeout(30):
                await waiting
            assert [one.value for one in (await log.read(*place, position)).records] == [b"news"]

    asyncio.run(main())


def test_a_place_that_nobody_waits_for_any_more_is_polled_no_longer(
    kafka_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "WANTED_S", 0.2)
    monkeypatch.setattr(pump, "SWEEP_S", 0.0)

    async def main() -> None:
        await make_log(kafka_url)
        async with opened(kafka_url) as log:
            await log.wait({(NORMAL, 0): 0, (NORMAL, 1): 0}, 50)
            tails = log._reader._tails
            assert set(tails._tails) == {(NORMAL, 0), (NORMAL, 1)}
            async with asyncio.timeout(20):
                while tails._tails or any(one._newest for one in tails._pumps.values()):
                    await log.get_setting("fleet")
            waiting = asyncio.create_task(log.wait({(NORMAL, 1): 0}, 60_000))
            await log.append([Draft(NORMAL, 1, b"k", b"v")])
            async with asyncio.timeout(20):
                await waiting

    asyncio.run(main())


def test_who_waits_is_woken_up_when_the_handle_is_closed_and_is_told_so_then(kafka_url: str) -> None:
    async def main() -> None:
        await make_log(kafka_url)
        async with opened(kafka_url) as log:
            waiting = asyncio.create_task(log.wait({(NORMAL, 0): 0}, 60_000))
            await log.wait({(NORMAL, 0): 0}, 20)
            await log.close()
            async with asyncio.timeout(20):
                await waiting
            for call in (log.wait({(NORMAL, 0): 0}, 1_000), log.read(NORMAL, 0, 0), log.get_setting("x")):
                try:
                    await call
                except HmsError as error:
                    assert "closed" in str(error)  # noqa: PT017 each of them, not the first
                else:
                    raise AssertionError("a closed handle answered")

    asyncio.run(main())
