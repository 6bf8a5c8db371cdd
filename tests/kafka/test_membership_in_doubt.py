"""A member that does not answer, does not release, or is taken for another: nobody waits for it, and it finds back."""

import asyncio
import threading
from collections.abc import Callable

from confluent_kafka.admin import AdminClient

from hms.core.log.kafka.address import KafkaAddress
from hms.core.log.kafka.assignor import Claim
from hms.core.log.kafka.cluster import Cluster
from hms.core.log.kafka.failures import DEADLINE_S
from hms.core.log.kafka.group import Group
from hms.core.log.kafka.log import KafkaLog
from hms.core.log.kafka.oracle import Times
from hms.core.log.port import NORMAL
from hms.core.testing.log_conformance.harness import eventually

from .fixtures import Server
from .handles import PATIENT, make, opened

PATIENCE_S = 60.0
HASTY = Times(session_ms=2_000, heartbeat_ms=50, away_ms=600, release_ms=300)


def owner_of(url: str, shards: int, ended: threading.Event, owns: threading.Event) -> Callable[[], None]:
    """Return what a thread does that is another node, until the end; it tells when it owns all."""

    async def main() -> None:
        log = await KafkaLog.open(url, times=HASTY)
        member = await log.join("two")
        known = await member.assignment()
        while not ended.is_set():
            if known.shards == frozenset(range(shards)):
                owns.set()
            known = await member.wait_changed(known.generation, 50)
            for shard in set(range(shards)) - known.shards:
                await member.release(shard)
        await member.leave()
        await log.close()

    return lambda: asyncio.run(main())


def test_the_shards_of_a_node_whose_event_loop_hangs_go_to_others_until_it_answers_again(kafka: Server) -> None:
    async def main() -> None:
        prefix = await make(kafka.bootstrap, 4)
        ended, owns = threading.Event(), threading.Event()
        async with opened(kafka.bootstrap, prefix, times=HASTY) as [log]:
            one = await log.join("one")
            other = threading.Thread(target=owner_of(f"kafka://{kafka.bootstrap}/{prefix}", 4, ended, owns))
            other.start()
            try:
                assert owns.wait(PATIENCE_S)  # and meanwhile this event loop stands still

                async def owns_again() -> bool:
                    now = await one.assignment()
                    return len(now.shards) == 2 and await one.confirm(min(now.shards), now.generation)

                await eventually(owns_again, "its half of the shards")
            finally:
                ended.set()
                await asyncio.to_thread(other.join)

    asyncio.run(main())


def test_a_shard_that_its_node_does_not_release_goes_to_the_next_one_after_a_while(kafka: Server) -> None:
    async def main() -> None:
        prefix = await make(kafka.bootstrap, 4)
        async with opened(kafka.bootstrap, prefix, 2, times=HASTY) as logs:
            one, two = await logs[0].join("one"), await logs[1].join("two")

            async def shared() -> bool:
                return [len((await member.assignment()).shards) for member in (one, two)] == [2, 2]

            await eventually(shared, "two shards each, though none was released")

    asyncio.run(main())


def test_a_node_that_is_refused_for_a_question_of_its_own_joins_again(kafka: Server) -> None:
    """Its question to join came to the group twice, and the answer that it has is of the one that counts no more."""

    async def main() -> None:
        prefix = await make(kafka.bootstrap, 4)
        async with opened(kafka.bootstrap, prefix, times=PATIENT) as [log]:
            one = await log.join("one")
            cluster = Cluster(KafkaAddress((kafka.bootstrap,), prefix), (NORMAL,), DEADLINE_S, client_id="one")
            await cluster.find()
            ghost = Group(cluster, "one", 4, 6_000)
            # Or it might be refused, and join again, before the ghost knows that it has joined.
            one._oracle.silent = True
            assert await ghost.join(Claim("one", -1, frozenset(), (), one._oracle._process)) is not None
            one._oracle.silent = False

            async def replaces_the_ghost() -> bool:
                return not await ghost.beat()

            await eventually(replaces_the_ghost, "the node to have its place again")

            async def owns_all() -> bool:
                now = await one.assignment()
                return now.shards == frozenset(range(4)) and await one.confirm(2, now.generation)

            await eventually(owns_all, "all shards under a generation that counts")
            await cluster.close()

    asyncio.run(main())


def test_the_numbers_of_assignments_go_on_when_the_group_begins_anew(kafka: Server) -> None:
    async def main() -> None:
        prefix = await make(kafka.bootstrap, 4)
        async with opened(kafka.bootstrap, prefix, 2, times=PATIENT) as logs:
            one = await logs[0].join("one")
            for _ in range(3):
                two = await logs[1].join("two")
                await two.leave()

            async def owns_all() -> bool:
                """And so it does not join again by itself while it is silent."""
                now = await one.assignment()
                return len(now.shards) == 4 and now.generation > 3 and await one.confirm(1, now.generation)

            await eventually(owns_all, "all shards with the one that stays")
            before = (await one.assignment()).generation
            address = KafkaAddress((kafka.bootstrap,), prefix)
            one._oracle.silent = True
            leaving = asyncio.run_coroutine_threadsafe(one._oracle._group.leave(), one._oracle_loop)
            await asyncio.wrap_future(leaving)
            admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
            for deleted in admin.delete_consumer_groups([address.nodes_group]).values():
                await asyncio.to_thread(deleted.result, PATIENCE_S)
            one._oracle.silent = False

            async def owns_again() -> bool:
                now = await one.assignment()
                return now.generation > before and await one.confirm(1, now.generation)

            await eventually(owns_again, "its shards, under a larger number")

    asyncio.run(main())
