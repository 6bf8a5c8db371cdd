"""Appending on a real Kafka: nothing twice where that can be had, and said so where nobody can know."""

import asyncio

import pytest

from hms.core.errors import AppendUnknown, LogUnreachable
from hms.core.log.port import LANES, NORMAL

from .broker import Broker
from .fixtures import Server
from .handles import draft, make, opened, values
from .proxy import Api, Proxy


def test_many_calls_at_once_each_get_the_offsets_of_their_own_records(kafka: Server) -> None:
    async def main() -> None:
        prefix = await make(kafka.bootstrap, 4)
        async with opened(kafka.bootstrap, prefix) as [log]:
            calls = [[draft(LANES[n % 4], n % 3, f"{n}a"), draft(NORMAL, 2, f"{n}b")] for n in range(300)]
            offsets = await asyncio.gather(*(log.append(call) for call in calls))
            for call, found in zip(calls, offsets, strict=True):
                for one, offset in zip(call, found, strict=True):
                    [record] = (await log.read(one.topic, one.partition, offset, records_max=1)).records
                    assert (record.offset, record.value) == (offset, one.value)
            written = [value for topic in LANES for n in range(3) for value in await values(log, topic, n)]
            assert sorted(written) == sorted((one.value or b"").decode() for call in calls for one in call)

    asyncio.run(main())


@pytest.mark.parametrize("at", ["request", "answer"])
def test_an_append_whose_connection_is_cut_is_asked_again_and_written_once(
    broker: Broker, proxy: Proxy, at: str
) -> None:
    async def main() -> None:
        prefix = await make(broker.bootstrap, 4)
        async with opened(proxy.bootstrap, prefix) as [log], opened(broker.bootstrap, prefix) as [reader]:
            await log.append([draft(NORMAL, 1, "before")])
            proxy.expect(Api.PRODUCE, at, "cut")  # type: ignore[arg-type]
            assert await log.append([draft(NORMAL, 1, "a"), draft(NORMAL, 1, "b")]) == [1, 2]
            assert len(proxy.done) == 1
            await log.append([draft(NORMAL, 1, "after")])
            assert await values(reader, NORMAL, 1) == ["before", "a", "b", "after"]

    asyncio.run(main())


@pytest.mark.parametrize(("at", "written"), [("request", []), ("answer", ["perhaps"])])
def test_an_append_without_an_answer_is_unknown_and_the_next_one_works(
    broker: Broker, proxy: Proxy, at: str, written: list[str]
) -> None:
    async def main() -> None:
        prefix = await make(broker.bootstrap, 4)
        async with opened(proxy.bootstrap, prefix) as [log], opened(broker.bootstrap, prefix) as [reader]:
            await log.append([draft(NORMAL, 1, "before")])
            proxy.expect(Api.PRODUCE, at, "drop")  # type: ignore[arg-type]
            log._outgoing._deadline_s = 4  # before the question itself is given up, and asked again
            with pytest.raises(AppendUnknown):
                await log.append([draft(NORMAL, 1, "perhaps")])
            log._outgoing._deadline_s = 30
            await asyncio.to_thread(proxy.wait_done, 1)
            assert await values(reader, NORMAL, 1) == ["before", *written]
            for n in range(3):
                await log.append([draft(NORMAL, 1, f"after{n}")])
            assert await values(reader, NORMAL, 1) == ["before", *written, "after0", "after1", "after2"]

    asyncio.run(main())


def test_an_append_that_reached_nobody_says_that_nothing_was_written(broker: Broker, proxy: Proxy) -> None:
    async def main() -> None:
        prefix = await make(broker.bootstrap, 4)
        async with opened(proxy.bootstrap, prefix) as [log], opened(broker.bootstrap, prefix) as [reader]:
            proxy.refuse()
            log._outgoing._deadline_s = 2
            with pytest.raises(LogUnreachable):
                await log.append([draft(NORMAL, 1, "lost")])
            log._outgoing._deadline_s = 30
            proxy.accept()
            assert await log.append([draft(NORMAL, 1, "first")]) == [0]
            assert await values(reader, NORMAL, 1) == ["first"]

    asyncio.run(main())


def test_a_call_that_is_cut_off_disturbs_no_other(kafka: Server) -> None:
    async def main() -> None:
        prefix = await make(kafka.bootstrap, 4)
        async with opened(kafka.bootstrap, prefix) as [log]:
            calls = [asyncio.create_task(log.append([draft(NORMAL, 1, f"{n}")])) for n in range(20)]
            await asyncio.sleep(0)
            for call in calls[::2]:
                call.cancel()
            results = await asyncio.gather(*calls, return_exceptions=True)
            kept = [f"{n}" for n, result in enumerate(results) if isinstance(result, list)]
            assert len(kept) == 10
            assert set(kept) <= set(await values(log, NORMAL, 1))

    asyncio.run(main())


def test_what_waits_when_the_log_is_closed_is_told_so(broker: Broker, proxy: Proxy) -> None:
    async def main() -> None:
        prefix = await make(broker.bootstrap, 4)
        async with opened(proxy.bootstrap, prefix) as [log]:
            await log.append([draft(NORMAL, 1, "before")])
            proxy.silence()
            calls = [asyncio.create_task(log.append([draft(NORMAL, 1, f"{n}")])) for n in range(2)]
            await asyncio.sleep(0)
            late = asyncio.create_task(log.append([draft(NORMAL, 1, "late")]))
            await asyncio.sleep(0)
            await log.close()
            first, second, third = await asyncio.gather(*calls, late, return_exceptions=True)
            assert isinstance(first, AppendUnknown | LogUnreachable)
            assert isinstance(second, AppendUnknown | LogUnreachable)
            assert isinstance(third, AppendUnknown | LogUnreachable)
            with pytest.raises(LogUnreachable):
                await log.append([draft(NORMAL, 1, "closed")])
            proxy.speak()

    asyncio.run(main())
