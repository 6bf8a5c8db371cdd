"""The broker of a run of the bench, its data in the session's folder; and the logs and topics that are made on it."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic
from session import Session, Unavailable

from hms.core.errors import LogUnreachable
from hms.core.log.kafka import KafkaAddress
from hms.core.log.kafka.creation import create, look
from tests.kafka import jars
from tests.kafka.broker import Cluster

HEAP = "1g"
AS_BY_DEFAULT = {
    "log.initial.task.delay.ms": "30000",
    "log.retention.check.interval.ms": "300000",
    "log.cleaner.backoff.ms": "15000",
    "broker.session.timeout.ms": "9000",
    "broker.heartbeat.interval.ms": "2000",
}
"""What the tests' brokers do often, so that a test need not wait; here it would only be in the way."""
DELETE_S, MAKE_S = 30, 60


class Server:
    """One at a time makes something on it: what is made is deleted before the next is."""

    def __init__(self, cluster: Cluster) -> None:
        self.bootstrap = cluster.bootstrap
        self._admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        self._numbers = itertools.count(1)

    @contextmanager
    def log(self) -> Iterator[str]:
        """The URL of a new log, as `hms log init` makes it."""
        address = KafkaAddress((self.bootstrap,), f"b{next(self._numbers)}")
        asyncio.run(_made(address))
        try:
            yield address.url
        finally:
            self._delete()

    @contextmanager
    def topics(self, partitions: int, *names: str) -> Iterator[str]:
        """The prefix of new topics that are called `PREFIX.NAME`."""
        prefix = f"b{next(self._numbers)}"
        made = self._admin.create_topics([NewTopic(f"{prefix}.{name}", partitions, 1) for name in names])
        for future in made.values():
            future.result(DELETE_S)
        try:
            yield prefix
        finally:
            self._delete()

    def _delete(self) -> None:
        """Delete all topics but Kafka's own; peers make some that the bench does not know by name."""
        names = [name for name in self._admin.list_topics(timeout=DELETE_S).topics if not name.startswith("__")]
        for future in self._admin.delete_topics(names).values():
            future.result(DELETE_S)


async def _made(address: KafkaAddress) -> None:
    """Make a log; a broker that is busy with what was deleted may need longer than one call waits for."""
    async with asyncio.timeout(MAKE_S):
        while True:
            with suppress(LogUnreachable):
                return await create(address, await look(address))


def server_of(session: Session) -> Server:
    """The session's broker, started when it is first asked for. Raises `Unavailable`."""
    if "kafka" not in session.kept:
        session.kept["kafka"] = session.ending.enter_context(_running(session.folder / "kafka"))
    found: Server = session.kept["kafka"]
    return found


@contextmanager
def _running(folder: Path) -> Iterator[Server]:
    try:
        jars.java()
        jars.jars()
    except jars.Unavailable as why:
        raise Unavailable(f"no Kafka: {why}") from why
    print(f"Kafka {jars.VERSION}: one broker starts, with a heap of {HEAP}", flush=True)
    cluster = Cluster(folder, brokers=1, heap=HEAP, more=AS_BY_DEFAULT)
    try:
        cluster.start()
        yield Server(cluster)
    except KafkaException as error:
        raise Unavailable(f"the broker failed: {error}") from error
    finally:
        cluster.stop()
