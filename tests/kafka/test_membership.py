"""Who owns which shard, on a real Kafka: two and three nodes in one process and in processes of their own."""

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient

from hms.core.errors import WriterFenced
from hms.core.log.kafka.log import KafkaLog
from hms.core.log.kafka.oracle import Times
from hms.core.log.port import EVENTS, HIGH, NORMAL, Assignment, Membership
from hms.core.testing.log_conformance.harness import eventually

from .broker import Broker
from .fixtures import Server
from .handles import PATIENT, QUICK, draft, make, opened, values
from .member_process import Child
from .proxy import Api, Proxy

LONG = Times(session_ms=20_000, heartbeat_ms=50)
"""A session so long that nothing that happens quickly can have waited for its end."""
ENDLESS = Times(session_ms=60_000, heartbeat_ms=50)
"""A session so long that nothing that happened while a test had patience can have waited for its end."""
pytestmark = pytest.mark.timeout(300)  # a broker of its own takes its time to start


@asynccontextmanager
async def released(log: KafkaLog, *members: Membership) -> AsyncIterator[None]:
    """Let the members release what is taken from them, as nodes do."""

    async def follow(log: KafkaLog, member: Membership) -> None:
        known = await member.assignment()
        while True:
            for shard in set(range(log.partitions)) - known.shards:
                await member.release(shard)
            known = await member.wait_changed(known.generation, 60_000)

    tasks = [asyncio.create_task(follow(log, member)) for member in members]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def shares(*members: Membership) -> list[frozenset[int]]:
    return [(await member.assignment()).shards for member in members]


def evenly(shards: int, *members: Membership) -> Callable[[], Awaitable[bool]]:
    """Return whether all shards are owned among the members, evenly, and each of them knows of it."""

    async def even() -> bool:
        known = [await member.assignment() for member in members]
        counts = [len(one.shards) for one in known]
        all_know = len({one.generation for one in known}) == 1
        return all_know and sum(counts) == shards and max(counts) - min(counts) <= 1

    return even


def test_who_joins_and_who_leaves_moves_only_the_shards_that_must(kafka: Server) -> None:
    async def main() -> None:
        prefix = await make(kafka.bootstrap, 12)
        async with opened(kafka.bootstrap, prefix, 3, times=LONG) as logs:
            one = await logs[0].join("one")
            assert await shares(one) == [frozenset(range(12))]
            two = await logs[1].join("two")
            async with released(logs[0], one, two):
                await eventually(evenly(12, one, two), "six shards each")
                before = await shares(one, two)
                three = await logs[2].join("three")
                async with released(logs[0], three):
                    await eventually(evenly(12, one, two, three), "four shards each")
                    after = await shares(one, two, three)
                    assert after[0] < before[0]
                    assert after[1] < before[1]
                    await two.leave()
                    await eventually(evenly(12, one, three), "six shards each")
                    last = await shares(one, three)
                    assert after[0] < last[0]
                    assert after[2] < last[1]

    asyncio.run(main())


def test_who_leaves_hands_its_shards_over_at_once(kafka: Server) -> None:
    async def main() -> None:
        prefix = await make(kafka.bootstrap, 4)
        async with opened(kafka.bootstrap, prefix, 2, times=ENDLESS) as logs:
            one, two = await logs[0].join("one"), await logs[1].join("two")
            async with released(logs[0], one, two):
                await eventually(evenly(4, one, two), "two shards each")
                began = time.monotonic()
                await one.leave()
                await eventually(evenly(4, two), "all shards with the one that stays")
                assert time.monotonic() - began < ENDLESS.session_ms / 2_000
                assert not await one.confirm(0, (await one.assignment()).generation)
                assert {info.node: info.alive for info in await logs[1].nodes()} == {"one": False, "two": True}

    asyncio.run(main())


def test_the_shards_that_a_node_keeps_are_confirmed_all_the_while_that_others_move(kafka: Server) -> None:
    async def main() -> None:
        prefix = await make(kafka.bootstrap, 4)
        async with opened(kafka.bootstrap, prefix, 2, times=LONG) as logs:
            one = await logs[0].join("one")
            joining = asyncio.create_task(logs[1].join("two"))
            known = await one.assignment()
            while len(known.shards) == 4:
                known = await one.wait_changed(known.generation, 1_000)
            taken = set(range(4)) - known.shards
            two = await joining
            for _ in range(5):
                assert [await one.confirm(shard, known.generation) for shard in sorted(known.shards)] == [True, True]
                assert [await two.confirm(shard, known.generation) for shard in taken] == [False, False]
            for shard in taken:
                await one.release(shard)
            await eventually(evenly(4, one, two), "two shards each")
            now = await two.assignment()
            assert now.shards == taken
            assert [await two.confirm(shard, now.generation) for shard in sorted(taken)] == [True, True]

    asyncio.run(main())


def test_shards_released_one_after_another_move_in_few_rebalances(kafka: Server) -> None:
    async def main() -> None:
        prefix = await make(kafka.bootstrap, 16)
        async with opened(kafka.bootstrap, prefix, 2, times=LONG) as logs:
            one, two = await logs[0].join("one"), await logs[1].join("two")
            before = await one.assignment()
            async with released(logs[0], one):
                await eventually(evenly(16, one, two), "eight shards each")
            assert (await one.assignment()).generation - before.generation <= 3

    asyncio.run(main())


def test_a_node_whose_event_loop_is_blocked_stays_a_member(kafka: Server) -> None:
    async def main() -> None:
        prefix = await make(kafka.bootstrap, 4)
        async with opened(kafka.bootstrap, prefix, 2, times=PATIENT) as logs:
            one, two = await logs[0].join("one"), await logs[1].join("two")
            async with released(logs[0], one, two):
                await eventually(evenly(4, one, two), "two shards each")
                before = await one.assignment()
                threading.Event().wait(2.2 * PATIENT.session_ms / 1_000)  # the event loop stands still
                await asyncio.sleep(0.5)  # and learns what it has missed, if it has
                assert await one.assignment() == before
                assert await one.confirm(min(before.shards), before.generation)

    asyncio.run(main())


def test_a_membership_outlives_its_broker_killed_and_started_again(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker({})

    async def main() -> None:
        prefix = await make(broker.bootstrap, 4)
        async with opened(broker.bootstrap, prefix, 2, times=LONG, deadline_s=60) as logs:
            one, two = await logs[0].join("one"), await logs[1].join("two")
            async with released(logs[0], one, two):
                await eventually(evenly(4, one, two), "two shards each")
                before = await shares(one, two)
                await asyncio.to_thread(broker.restart)
                for member in (one, two):
                    now = await member.assignment()
                    assert await member.confirm(min(now.shards), now.generation)
                assert await shares(one, two) == before

    asyncio.run(main())


@pytest.mark.parametrize("step", [Api.JOIN_GROUP, Api.SYNC_GROUP, Api.HEARTBEAT, Api.OFFSET_COMMIT, Api.LEAVE_GROUP])
def test_an_answer_lost_at_any_step_is_made_good(broker: Broker, proxy: Proxy, step: Api) -> None:
    async def main() -> None:
        prefix = await make(broker.bootstrap, 4)
        times = (
            ENDLESS if step is Api.LEAVE_GROUP else QUICK
        )  # it is the word that counts, and not the end of a session
        async with opened(proxy.bootstrap, prefix, times=times) as [log], opened(broker.bootstrap, prefix) as [other]:
            proxy.expect(step, "answer", "cut")
            member = await log.join("one")
            await eventually(evenly(4, member), "all shards")

            async def confirmed() -> bool:
                now = await member.assignment()
                return await member.confirm(2, now.generation)

            await eventually(confirmed, "a confirmation")
            if step is not Api.LEAVE_GROUP:
                await asyncio.to_thread(proxy.wait_done, 1)
            await member.leave()
            await asyncio.to_thread(proxy.wait_done, 1)
            assert len(proxy.done) == 1

            async def left() -> bool:
                return [info.alive for info in await other.nodes()] == [False]

            await eventually(left, "the end of the membership")

    asyncio.run(main())


@pytest.mark.parametrize("name", ["node-1.example.org", "zoë's node/2: 漢字", "x" * 200])
def test_any_name_is_one(kafka: Server, name: str) -> None:
    async def main() -> None:
        prefix = await make(kafka.bootstrap, 2)
        async with opened(kafka.bootstrap, prefix, times=LONG) as [log]:
            member = await log.join(name)
            now = await member.assignment()
            assert await member.confirm(1, now.generation)
            assert [(info.node, info.shards, info.alive) for info in await log.nodes()] == [(name, {0, 1}, True)]

    asyncio.run(main())


def test_a_node_started_again_under_its_name_has_its_shards_at_once_and_disturbs_nobody(kafka: Server) -> None:
    async def main() -> None:
        prefix = await make(kafka.bootstrap, 4)
        async with opened(kafka.bootstrap, prefix, 3, times=LONG) as logs:
            one, two = await logs[0].join("one"), await logs[1].join("two")
            async with released(logs[0], one, two):
                await eventually(evenly(4, one, two), "two shards each")
                before = await shares(one, two)
                generation = (await two.assignment()).generation
                one._oracle.silent = True
                again = await logs[2].join("one")
                assert await shares(again, two) == before
                assert (await two.assignment()).generation == generation
                assert await again.confirm(min(before[0]), generation)
                assert not await one.confirm(min(before[0]), generation)

    asyncio.run(main())


def test_the_former_self_of_a_node_is_told_and_stays_away(kafka: Server) -> None:
    """Two that both insisted on the name would replace each other for ever."""

    async def main() -> None:
        prefix = await make(kafka.bootstrap, 4)
        async with opened(kafka.bootstrap, prefix, 2, times=LONG) as logs:
            old, new = await logs[0].join("one"), await logs[1].join("one")

            async def told() -> bool:
                return (await old.assignment()).shards == frozenset()

            await eventually(told, "the former self without shards")
            generation = (await new.assignment()).generation
            now = await new.wait_changed(generation, 1_000)
            assert now == Assignment(generation, frozenset(range(4)))

    asyncio.run(main())


def test_positions_are_shown_as_a_groups_offsets(kafka: Server) -> None:
    async def main() -> None:
        prefix = await make(kafka.bootstrap, 4)
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})

        async def shown() -> bool:
            """A broker that does not answer in time is not told again by a log that is closed."""
            async with opened(kafka.bootstrap, prefix) as [log]:
                log.mirror({(NORMAL, 1): 7, (HIGH, 1): 3})
                log.mirror({(NORMAL, 1): 9})
            [asked] = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(f"{prefix}-shards")]).values()
            found = {(place.topic, place.partition): place.offset for place in asked.result(20).topic_partitions}
            return found == {(f"{prefix}.inbox.normal", 1): 9, (f"{prefix}.inbox.high", 1): 3}

        await eventually(shown, "the offsets of the group")

    asyncio.run(main())


# --- processes ----------------------------------------------------------------------------------------------------


def test_a_stopped_process_loses_its_shards_writes_nothing_when_it_wakes_up_and_rejoins(kafka: Server) -> None:
    prefix = asyncio.run(make(kafka.bootstrap, 4))
    url = f"kafka://{kafka.bootstrap}/{prefix}"
    with Child(url, "one") as one, Child(url, "two", QUICK) as two:
        one.wait_shards(lambda shards: len(shards) == 2)
        lost = min(two.wait_shards(lambda shards: len(shards) == 2))
        assert two.ask(f"open {lost}") == "opened"
        two.ask(f"commit {lost} before")
        two.signal(signal.SIGSTOP)
        one.wait_shards(lambda shards: len(shards) == 4)
        assert one.ask(f"open {lost}") == "opened"
        one.ask_until(f"confirm {lost}", "True")
        one.ask(f"commit {lost} taken-over")
        one.ask("keep")  # or the other one might own it again before it is asked
        two.tell(f"confirm {lost}")
        two.tell(f"commit {lost} stale")
        two.signal(signal.SIGCONT)
        two._until(lambda: len(two._answers()) >= 4)
        assert two._answers()[2:] == ["answer False", "answer WriterFenced"]
        one.ask("give")
        one.wait_shards(lambda shards: len(shards) == 2)
        two.wait_shards(lambda shards: shards == {0, 1, 2, 3} - one.shards)

    async def main() -> None:
        async with opened(kafka.bootstrap, prefix) as [log]:
            assert await values(log, EVENTS, lost) == ["before", "taken-over"]

    asyncio.run(main())


def test_the_shards_of_a_killed_process_are_taken_over_when_its_session_ends(kafka: Server) -> None:
    prefix = asyncio.run(make(kafka.bootstrap, 4))
    url = f"kafka://{kafka.bootstrap}/{prefix}"
    with Child(url, "one") as one, Child(url, "two") as two:
        one.wait_shards(lambda shards: len(shards) == 2)
        two.wait_shards(lambda shards: len(shards) == 2)
        killed = time.monotonic()
        two.signal(signal.SIGKILL)
        one.wait_shards(lambda shards: len(shards) == 4)
        # Its last heartbeat may have come some time before, if the machine is busy; without a session's end it takes milliseconds.
        assert time.monotonic() - killed >= PATIENT.session_ms / 2_000


def test_a_fenced_owner_learns_it_by_its_next_commit_even_before_the_group_knows(kafka: Server) -> None:
    """Fencing keeps two owners apart; the oracle only says who should be one."""

    async def main() -> None:
        prefix = await make(kafka.bootstrap, 4)
        async with opened(kafka.bootstrap, prefix, 2, times=LONG) as logs:
            one = await logs[0].join("one")
            writer = await logs[0].open_writer(1, "one")
            stranger = await logs[1].open_writer(1, "two")
            assert await one.confirm(1, (await one.assignment()).generation)
            with pytest.raises(WriterFenced):
                await writer.commit([draft(EVENTS, 1, "stale")])
            await stranger.commit([draft(EVENTS, 1, "new")])
            assert await values(logs[1], EVENTS, 1) == ["new"]

    asyncio.run(main())
