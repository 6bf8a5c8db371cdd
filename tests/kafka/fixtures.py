"""The fixtures of a real Kafka, for every folder of tests; nothing is started before a test asks for one of them.

| fixture | what | where it runs |
| --- | --- | --- |
| `kafka` | one broker for all tests; `.bootstrap` | HMS_TEST_KAFKA=host:port, else Docker, else Java 17 and jars |
| `kafka_url` | `kafka://` of it with a prefix of the test's own; its topics are deleted afterwards | there |
| `broker` | a broker that a test may stop, kill and pause; it is healed afterwards | Java 17 and jars |
| `make_broker` | the same with settings of the test's own, ended afterwards | there |
| `cluster` | three brokers for a module; healed after each test | there |
| `proxy` | a TCP proxy in front of `broker`; clients get `proxy.bootstrap` | the tests' own process |

Where there is none, these tests skip and say why; with CI=true they fail.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, NoReturn

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from .broker import Broker, Cluster
from .container import container
from .jars import Unavailable, jars, java
from .proxy import Proxy


class Server(NamedTuple):
    """A Kafka that the tests only speak with."""

    bootstrap: str


@contextmanager
def running(**options: object) -> Iterator[Cluster]:
    """Run brokers by jars, in a temporary folder."""
    java()
    jars()
    with TemporaryDirectory(prefix="hms-kafka-", ignore_cleanup_errors=True) as folder:
        cluster = Cluster(Path(folder), **options)  # type: ignore[arg-type]
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


def missing(why: object) -> NoReturn:
    """Skip the test; fail it where a skip would go unseen."""
    reason = f"no Kafka: {why}"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI=true: a test that cannot run is a failure)", pytrace=False)
    pytest.skip(reason)  # on a machine without Java or a container the rest is worth running


@pytest.fixture(scope="session")
def own_broker() -> Iterator[Broker]:
    try:
        with running(brokers=1, heap="512m") as cluster:
            yield cluster.brokers[0]
    except Unavailable as why:
        missing(why)


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Give the one Kafka of the tests."""
    address = os.environ.get("HMS_TEST_KAFKA")
    if address:
        _ask(address)
        yield Server(address)
        return
    with ExitStack() as stack:
        try:
            server = Server(stack.enter_context(container()))
        except Unavailable as without_docker:
            server = Server(_by_jars(request, without_docker).bootstrap)
        yield server


def _ask(address: str) -> None:
    try:
        AdminClient({"bootstrap.servers": address, "log_level": 0}).list_topics(timeout=10)
    except KafkaException as error:
        pytest.fail(f"HMS_TEST_KAFKA={address} does not answer: {error}", pytrace=False)


def _by_jars(request: pytest.FixtureRequest, without_docker: Unavailable) -> Broker:
    try:
        java()
        jars()
    except Unavailable as why:
        missing(f"HMS_TEST_KAFKA is not set, {without_docker}, {why}")
    own: Broker = request.getfixturevalue("own_broker")
    return own


@pytest.fixture
def kafka_url(kafka: Server) -> Iterator[str]:
    """Give the URL of a log that no other test has."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    yield f"kafka://{kafka.bootstrap}/{prefix}"
    delete(kafka.bootstrap, prefix)


def delete(bootstrap: str, prefix: str) -> None:
    """Delete the topics of this prefix, so that one broker serves many tests."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    with suppress(KafkaException):  # a test may have left no broker to ask
        topics = [name for name in admin.list_topics(timeout=30).topics if name.startswith(f"{prefix}.")]
        for done in admin.delete_topics(topics).values() if topics else ():
            done.result(60)


@pytest.fixture
def broker(own_broker: Broker) -> Iterator[Broker]:
    """Give a broker that may be stopped, killed and paused."""
    yield own_broker
    own_broker.heal()


@pytest.fixture
def make_broker() -> Iterator[Callable[..., Broker]]:
    """Give what starts a broker with settings of its own: `make_broker({"offsets.retention.minutes": "1"})`."""
    with ExitStack() as stack:

        def make(more: dict[str, str], heap: str = "384m") -> Broker:
            try:
                return stack.enter_context(running(brokers=1, heap=heap, more=more)).brokers[0]
            except Unavailable as why:
                missing(why)

        yield make


@pytest.fixture(scope="module")
def three_brokers() -> Iterator[Cluster]:
    try:
        with running(brokers=3) as cluster:
            yield cluster
    except Unavailable as why:
        missing(why)


@pytest.fixture
def cluster(three_brokers: Cluster) -> Iterator[Cluster]:
    """Give three brokers, any of which may be stopped, killed and paused."""
    yield three_brokers
    three_brokers.heal()


@pytest.fixture
def proxy(broker: Broker) -> Iterator[Proxy]:
    """Give a proxy in front of `broker`; it passes everything on until it is told otherwise."""
    with Proxy(listen=broker.proxy_port, to=broker.proxied_port) as made:
        yield made
