"""The way to the cluster: whom to ask, and asking again until it answers or the deadline is over.

One client of aiokafka keeps the metadata and the connections. It never goes back to the first brokers by itself, so after a
deadline that passed in vain the next call starts from these once more: a cluster that moved is found again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar

from aiokafka import errors
from aiokafka.structs import TopicPartition

from ...errors import LogUnreachable
from .address import KafkaAddress
from .client import Client
from .failures import DEADLINE_S, FAILURES, FORBIDDEN, describe, failure
from .first_contact import bootstrap

logging.getLogger("aiokafka").addHandler(
    logging.NullHandler()
)  # what fails is raised; who configures logging sees it all

REQUEST_MS: Final = 5_000
"""For one question to one broker; a long poll ends well before."""
PAUSE_S: Final = 0.01
PAUSE_MAX_S: Final = 0.3
METADATA_MS: Final = 60_000
CLOSE_S: Final = 1.0
NOBODY: Final = -1

T = TypeVar("T")


class Cluster:
    """Connections are kept apart by `lane`: a broker answers one connection's questions in order, a long poll blocks it."""

    def __init__(
        self,
        address: KafkaAddress,
        topics: Iterable[str],
        deadline_s: float = DEADLINE_S,
        *,
        client_id: str = "hms",
        request_ms: int = REQUEST_MS,
    ) -> None:
        self.address = address
        self.deadline_s = deadline_s
        self.closed = False
        self.arguments = address.client_kwargs()
        self.client = Client(
            **self.arguments, client_id=client_id, request_timeout_ms=request_ms, metadata_max_age_ms=METADATA_MS
        )
        self._topics = [address.topic(topic) for topic in topics]
        self._lost = True
        self._finding = asyncio.Lock()

    async def insist(self, attempt: Callable[[], Awaitable[T]], what: str) -> T:
        """Return what the attempt gives, repeated with new metadata while it fails; see `failures` for what is raised."""
        tries = _Tries(what, self.deadline_s)
        try:
            async with asyncio.timeout(self.deadline_s):
                while True:
                    self.check_open()
                    try:
                        await self.find()
                        return await attempt()
                    except FAILURES as error:
                        tries.note(error)
                    await self.refresh()
                    await asyncio.sleep(tries.pause_s())
        except TimeoutError as error:
            self._lost = True
            raise tries.unreachable() from error

    async def ask(self, node: int, request: Any, lane: str) -> Any:
        """Put one question to one broker; raises one of `FAILURES`."""
        return await self.client.send(node, request, group=lane)

    def leader(self, topic: str, partition: int) -> int:
        """Return the leader by the metadata at hand; raises one of `FAILURES` when none is known."""
        name = self.address.topic(topic)
        found: int | None = self.client.cluster.leader_for_partition(TopicPartition(name, partition))
        if not self.client.cluster.brokers():
            raise errors.BrokerNotAvailableError("the cluster names no broker")
        if found is None:
            raise errors.UnknownTopicOrPartitionError(name)
        if found == NOBODY:
            raise errors.LeaderNotAvailableError
        return found

    async def partition_counts(self) -> dict[str, int]:
        """Return how many partitions each topic has now, by Kafka's names; one that is not there is left out."""
        await self.client.force_metadata_update()
        counts = {topic: self.client.cluster.partitions_for_topic(topic) for topic in self._topics}
        return {topic: len(numbers) for topic, numbers in counts.items() if numbers}

    async def refresh(self) -> None:
        """Ask for new metadata; nothing is raised when there are none."""
        with contextlib.suppress(*FAILURES):
            await self.find()
            await self.client.force_metadata_update()

    def check_open(self) -> None:
        """Raise `LogUnreachable` after `close`."""
        if self.closed:
            raise LogUnreachable(f"the handle on {self.address.url} is closed; open the log again")

    async def close(self) -> None:
        """Close every connection; to a broker that takes no bytes any more one would be closing for ever."""
        self.closed = True
        transports = [one._writer.transport for one in self.client._conns.values() if one._writer]  # noqa: SLF001
        with contextlib.suppress(*FAILURES):
            async with asyncio.timeout(CLOSE_S):
                await self.client.close()
        for transport in transports:
            transport.abort()

    async def find(self) -> None:
        """Connect: start from the first brokers, once after each time that everything was in vain."""
        if not self._lost:
            return
        async with self._finding:
            if self._lost:
                await bootstrap(self.client, self.address)
                self.client.set_topics(self._topics)
                await self.client.force_metadata_update()
                self._lost = False


class _Tries:
    """What a call that is repeated has met so far."""

    def __init__(self, what: str, deadline_s: float) -> None:
        self._what = what
        self._deadline_s = deadline_s
        self._pause_s = PAUSE_S / 2
        self._last: BaseException | None = None

    def note(self, error: BaseException) -> None:
        """Take a failure in; raises the port's error when repeating cannot help."""
        self._last = error
        if isinstance(error, FORBIDDEN):
            raise failure(error, self._what) from error

    def pause_s(self) -> float:
        """Return how long to wait before the next try."""
        self._pause_s = min(2 * self._pause_s, PAUSE_MAX_S)
        return self._pause_s

    def unreachable(self) -> LogUnreachable:
        """Say what was waited for in vain; a topic that was just made is not known everywhere at once, so this may be why."""
        if isinstance(self._last, errors.UnknownTopicOrPartitionError):
            return LogUnreachable(
                f"{self._what}: the topic {self._last.args[0] if self._last.args else 'asked for'} is not there; was it deleted? "
                "`hms log init` makes topics"
            )
        last = f"; last: {describe(self._last)}" if self._last else ""
        return LogUnreachable(
            f"{self._what}: no answer from Kafka within {self._deadline_s:g} s{last}. Is a broker down? `hms doctor` looks"
        )
