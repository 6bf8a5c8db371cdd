"""Transactions that hang: called done by their coordinator, open in some of their partitions.

Kafka leaves such ones behind when a whole cluster is killed (KAFKA-20734), by a race. Here they are made at will: a broker that
does not verify takes records of a transaction of which its coordinator was never told.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from hms.core.errors import LogUnreachable
from hms.core.log.kafka.answers import Attempts
from hms.core.log.kafka.encoding import Encoder
from hms.core.log.kafka.log import KafkaLog
from hms.core.log.kafka.producing import Producing
from hms.core.log.kafka.topics import SETTINGS
from hms.core.log.kafka.transactions import Transactions
from hms.core.log.kafka.writer import KafkaWriter
from hms.core.log.port import CHECKPOINTS, EVENTS, NORMAL, OUTBOX, Draft

from .broker import Broker
from .handles import draft, make, opened, values
from .proxy import Api, Proxy

pytestmark = pytest.mark.timeout(300)  # a broker of its own takes its time to start


@pytest.fixture
def trusting(make_broker: Callable[..., Broker]) -> Broker:
    """Give a broker that takes records of any transaction."""
    return make_broker({"transaction.partition.verification.enable": "false"})


async def leave_hanging(log: KafkaLog, drafts: Sequence[Draft], epoch: int) -> None:
    """Write as shard 3's producer, in its epoch, what its coordinator does not know of."""
    await until(lambda: are_read_to_the_end(log))  # no marker of an earlier one is on its way
    cluster, identifier = log._cluster, log._cluster.address.transactional_id(3)
    batches = Encoder(epoch >> 16, epoch & 0xFFFF, transactional=True, codec="none").encode(drafts)
    await Producing(cluster, "hanging", identifier, "a test").produce(batches, Attempts())


def epoch_of(writer: KafkaWriter) -> int:
    """Return the producer's id and the epoch of its next transaction."""
    return writer._transactions.producer_id << 16 | writer._transactions.producer_epoch


async def are_read_to_the_end(log: KafkaLog) -> bool:
    """Tell whether nothing hides the end of any partition that the tests write to."""
    places = [(EVENTS, 3), (CHECKPOINTS, 3), (NORMAL, 1), (OUTBOX, 2)]
    marks = [await log.watermarks(*place) for place in places]
    return all(mark.stable == mark.high for mark in marks)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - a broker brings it about
            await asyncio.sleep(0.02)


def test_what_hangs_of_a_committed_transaction_is_committed_by_the_next_owner(trusting: Broker) -> None:
    async def main() -> None:
        prefix = await make(trusting.bootstrap)
        async with opened(trusting.bootstrap, prefix, 2) as [log, other]:
            writer = await log.open_writer(3, "one")
            await writer.commit([draft(EVENTS, 3, "before")])
            hanging = [draft(EVENTS, 3, "hung"), draft(NORMAL, 1, "hung, too")]
            await leave_hanging(log, hanging, epoch_of(writer))
            assert not await are_read_to_the_end(other)
            new = await other.open_writer(3, "two")
            assert await values(other, EVENTS, 3) == ["before", "hung"]
            assert await values(other, NORMAL, 1) == ["hung, too"]
            await new.commit([draft(EVENTS, 3, "after"), draft(NORMAL, 1, "after")])
            assert await values(other, EVENTS, 3) == ["before", "hung", "after"]
            assert await values(other, NORMAL, 1) == ["hung, too", "after"]
            await until(lambda: are_read_to_the_end(other))

    asyncio.run(main())


def test_what_hangs_of_an_aborted_transaction_is_aborted_by_the_next_owner(trusting: Broker) -> None:
    async def main() -> None:
        prefix = await make(trusting.bootstrap)
        async with opened(trusting.bootstrap, prefix, 2) as [log, other]:
            await (await log.open_writer(3, "one")).commit([draft(EVENTS, 3, "before")])
            writer = await log.open_writer(3, "one")  # which ends with a transaction that is aborted
            hanging = [draft(EVENTS, 3, "hung"), draft(NORMAL, 1, "hung, too")]
            await leave_hanging(log, hanging, epoch_of(writer))
            new = await other.open_writer(3, "two")
            await new.commit([draft(EVENTS, 3, "after"), draft(NORMAL, 1, "after")])
            assert await values(other, EVENTS, 3) == ["before", "after"]
            assert await values(other, NORMAL, 1) == ["after"]
            await until(lambda: are_read_to_the_end(other))

    asyncio.run(main())


def test_an_owner_that_does_nothing_ends_what_hangs_once_its_connection_has_broken(trusting: Broker) -> None:
    async def main() -> None:
        prefix = await make(trusting.bootstrap)
        async with opened(trusting.bootstrap, prefix, 2) as [log, other]:
            writer = await log.open_writer(3, "one")
            epoch = epoch_of(writer)
            await writer.commit([draft(EVENTS, 3, "before")])
            await leave_hanging(log, [draft(NORMAL, 1, "hung"), draft(OUTBOX, 2, "hung, too")], epoch)
            for connection in log._cluster.client._conns.values():
                connection._writer.transport.abort()
            await until(lambda: are_read_to_the_end(other))
            assert await values(other, NORMAL, 1) == ["hung"]
            assert await values(other, OUTBOX, 2) == ["hung, too"]
            await writer.commit([draft(NORMAL, 1, "after")])
            assert await values(other, NORMAL, 1) == ["hung", "after"]

    asyncio.run(main())


def test_a_commit_on_its_way_does_not_decide_about_one_that_hangs_before_it(trusting: Broker) -> None:
    async def main() -> None:
        prefix = await make(trusting.bootstrap)
        with Proxy(listen=trusting.proxy_port, to=trusting.proxied_port) as proxy:
            async with opened(proxy.bootstrap, prefix) as [log], opened(trusting.bootstrap, prefix) as [other]:
                writer = await log.open_writer(3, "one")
                epoch = epoch_of(writer)
                await writer.commit([draft(EVENTS, 3, "before")])
                await leave_hanging(other, [draft(NORMAL, 1, "hung")], epoch)
                proxy.expect(Api.PRODUCE, "request", "cut")
                with pytest.raises(LogUnreachable, match="left the commit before this one hanging"):
                    await writer.commit([draft(EVENTS, 3, "not begun"), draft(NORMAL, 1, "not begun")])
                await writer.close()
                new = await log.open_writer(3, "one")
                await new.commit([draft(EVENTS, 3, "after"), draft(NORMAL, 1, "after")])
                assert await values(other, NORMAL, 1) == ["hung", "after"]
                assert await values(other, EVENTS, 3) == ["before", "after"]

    asyncio.run(main())


def test_a_setting_that_hangs_is_set_for_whoever_asks_next(trusting: Broker) -> None:
    async def main() -> None:
        prefix = await make(trusting.bootstrap)
        async with opened(trusting.bootstrap, prefix, 2) as [log, other]:
            cluster, identifier = log._cluster, log._cluster.address.settings_transactional_id
            transactions = Transactions(cluster, identifier, identifier, "a test")
            await transactions.begin_epoch(Attempts())
            encoder = Encoder(transactions.producer_id, transactions.producer_epoch, transactional=True, codec="none")
            producing = Producing(cluster, identifier, identifier, "a test")
            await transactions.add([(cluster.address.settings_topic, 0)], Attempts())
            await producing.produce(encoder.encode([Draft(SETTINGS, 0, b"colour", b"red")]), Attempts())
            await transactions.end(Attempts(), committed=True)
            await until(lambda: says(other, "colour", "red"))  # and so its coordinator is done with it
            await producing.produce(encoder.encode([Draft(SETTINGS, 0, b"colour", b"blue")]), Attempts())
            assert await other.get_setting("colour") == "blue"
            assert await log.put_setting("colour", "green", expected="blue")
            assert await other.get_setting("colour") == "green"

    asyncio.run(main())


async def says(log: KafkaLog, name: str, value: str) -> bool:
    return await log.get_setting(name) == value
