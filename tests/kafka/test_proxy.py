"""The proxy of the tests cuts, delays and drops where it is told to, and passes everything else on."""

import asyncio
import socket
import struct
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from hms.core.testing.log_conformance.harness import eventually

from .broker import Broker
from .proxy import Api, Fault, Proxy

FRAME = struct.Struct(">ihhih")
"""Size, API, version, correlation id, no client id."""


@contextmanager
def connected(proxy: Proxy) -> Iterator[socket.socket]:
    host, _, port = proxy.bootstrap.partition(":")
    with closing(socket.create_connection((host, int(port)), timeout=20)) as opened:
        yield opened


def ask(opened: socket.socket, number: int = 1) -> None:
    opened.sendall(FRAME.pack(FRAME.size - 4, Api.API_VERSIONS, 0, number, -1))


def answer(opened: socket.socket) -> int | None:
    """Return the correlation id of the next answer; None if the connection has ended."""
    try:
        head = opened.recv(8, socket.MSG_WAITALL)
    except ConnectionError:
        return None
    if len(head) < 8:
        return None
    size, correlation = struct.unpack(">ii", head)
    opened.recv(size - 4, socket.MSG_WAITALL)
    return int(correlation)


def make_topic(broker: Broker) -> str:
    name = f"p{uuid.uuid4().hex[:12]}"
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(20)
    return name


async def values(broker: Broker, topic: str) -> list[bytes]:
    """Return what a read_committed reader sees, asked past the proxy."""
    reader = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, isolation_level="read_committed")
    await reader.start()
    try:
        place = TopicPartition(topic, 0)
        reader.assign([place])
        await reader.seek_to_beginning(place)
        end = (await reader.end_offsets([place]))[place]
        found: list[bytes] = []
        while await reader.position(place) < end:
            batches = await reader.getmany(place, timeout_ms=200)
            found += [message.value for batch in batches.values() for message in batch]
        return found
    finally:
        await reader.stop()


def test_a_client_that_comes_through_the_proxy_stays_behind_it(broker: Broker, proxy: Proxy) -> None:
    async def main() -> None:
        topic = make_topic(broker)
        producer = AIOKafkaProducer(bootstrap_servers=proxy.bootstrap)
        await producer.start()
        await producer.send_and_wait(topic, b"through")
        await producer.stop()
        assert proxy.seen[Api.PRODUCE] == 1
        assert await values(broker, topic) == [b"through"]

    asyncio.run(main())


def test_a_cut_ends_the_connections_and_the_next_ones_work(proxy: Proxy) -> None:
    with connected(proxy) as first, connected(proxy) as second:
        for opened in (first, second):
            ask(opened)
            assert answer(opened) == 1
        assert proxy.cut() == 2
        assert answer(first) is answer(second) is None
    with connected(proxy) as third:
        ask(third, 3)
        assert answer(third) == 3


def test_who_comes_while_it_refuses_is_cut_and_who_comes_later_is_served(proxy: Proxy) -> None:
    proxy.refuse()
    with connected(proxy) as opened:
        assert answer(opened) is None
    proxy.accept()
    with connected(proxy) as opened:
        ask(opened)
        assert answer(opened) == 1


def test_silence_holds_everything_back_and_loses_nothing(proxy: Proxy) -> None:
    with connected(proxy) as opened:
        ask(opened, 1)
        assert answer(opened) == 1
        proxy.silence()
        ask(opened, 2)
        opened.settimeout(0.3)
        with pytest.raises(TimeoutError):
            answer(opened)
        opened.settimeout(20)
        proxy.speak()
        assert answer(opened) == 2


def test_a_delay_is_kept_between_question_and_answer(proxy: Proxy) -> None:
    with connected(proxy) as opened:
        proxy.delay_ms = 300
        asked = time.monotonic()
        ask(opened)
        assert answer(opened) == 1
        assert time.monotonic() - asked >= 0.3


def test_a_dropped_answer_is_lost_alone_and_so_is_a_dropped_request(proxy: Proxy) -> None:
    proxy.expect(Api.API_VERSIONS, "answer", "drop")
    proxy.expect(Api.API_VERSIONS, "request", "drop")
    with connected(proxy) as opened:
        for number in (1, 2, 3):
            ask(opened, number)
        assert answer(opened) == 3
    assert proxy.done == [Fault(Api.API_VERSIONS, at, "drop") for at in ("request", "answer")]


def test_a_cut_at_the_request_comes_before_the_broker_hears_it(proxy: Proxy) -> None:
    proxy.expect(Api.API_VERSIONS, "request", "cut")
    with connected(proxy) as opened:
        ask(opened)
        assert answer(opened) is None
    proxy.wait_done(1)


def test_without_its_broker_it_cuts_who_comes(broker: Broker, proxy: Proxy) -> None:
    broker.stop()
    with connected(proxy) as opened:
        assert answer(opened) is None


@pytest.mark.parametrize(("at", "seen"), [("request", []), ("answer", [b"in a transaction"])])
def test_a_commit_whose_connection_is_cut_has_happened_only_if_the_broker_heard_of_it(
    broker: Broker, proxy: Proxy, at: str, seen: list[bytes]
) -> None:
    async def main() -> None:
        topic = make_topic(broker)
        producer = AIOKafkaProducer(bootstrap_servers=proxy.bootstrap, transactional_id=topic, retry_backoff_ms=5)
        await producer.start()
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"in a transaction")
        proxy.expect(Api.END_TXN, at, "cut")  # type: ignore[arg-type]
        proxy.refuse_next()  # nobody comes again to ask what became of it
        commit = asyncio.ensure_future(producer.commit_transaction())
        await asyncio.to_thread(proxy.wait_done, 1)
        assert not commit.done()

        async def is_so() -> bool:
            """The broker answers before its marker is written."""
            return await values(broker, topic) == seen

        await eventually(is_so, f"{seen}")
        proxy.accept()
        await commit  # aiokafka asks again by itself, and the coordinator knows the transaction
        await producer.stop()

        async def is_seen() -> bool:
            return await values(broker, topic) == [b"in a transaction"]

        await eventually(is_seen, "what was committed")

    asyncio.run(main())
