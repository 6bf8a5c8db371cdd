"""The log on Kafka: what the port asks, put together."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from aiokafka.protocol.admin import DeleteRecordsRequest

from ...clock import Clock, SystemClock
from ...errors import AppendUnknown, LogUnreachable, ValidationFailed
from ..port import COMPACTED, Capabilities, Draft, NodeInfo, Slice, Watermarks
from .address import KafkaAddress
from .cluster import Cluster
from .encoding import Places
from .failures import DEADLINE_S, check_code
from .hung import Survey
from .membership import KafkaMembership
from .mirror import Mirror
from .nodes import announce, read_nodes
from .oracle import DEFAULT_TIMES, Times
from .outgoing import Outgoing
from .reader import Reader
from .settings import Settings
from .topics import ALL, PARTITIONS_SETTING, wanted_topics
from .writer import KafkaWriter

RECORDS_MAX: Final = 5_000
"""Of one read, whatever is asked for: decoding more would hold up the event loop."""
DELETE_MS: Final = 5_000


class KafkaLog:
    """A log on a cluster; any number of processes may have it open. Made by `open`."""

    capabilities = Capabilities(markers=True, open_transactions=True, durable=True, shared=True, headers=True)

    def __init__(
        self, cluster: Cluster, reader: Reader, settings: Settings, partitions: int, clock: Clock, times: Times
    ) -> None:
        self.url = cluster.address.url
        self.partitions = partitions
        self._cluster = cluster
        self._reader = reader
        self._settings = settings
        self._clock = clock
        self._places = Places(cluster.address, partitions)
        self._outgoing = Outgoing(cluster, self._places, deadline_s=cluster.deadline_s)
        self._mirror = Mirror(cluster)
        self._times = times
        self._memberships: list[KafkaMembership] = []
        self._survey = Survey(cluster, self._places.known)

    @classmethod
    async def open(
        cls, url: str, *, clock: Clock | None = None, deadline_s: float = DEADLINE_S, times: Times = DEFAULT_TIMES
    ) -> "KafkaLog":
        """Open the log that a URL names; `deadline_s` bounds every call, `times` are those of a membership.

        Raises `ValidationFailed` for a log that was not made by `hms log init`, or whose topics are not as it made
        them, `NotAuthorised`, and `LogUnreachable`.
        """
        cluster = Cluster(KafkaAddress.parse(url), ALL, deadline_s)
        reader = Reader(cluster, ALL)
        try:
            settings = Settings(cluster, reader)
            partitions = await _check(cluster, settings)
        except BaseException:
            await reader.close()
            await cluster.close()
            raise
        return cls(cluster, reader, settings, partitions, clock or SystemClock(), times)

    async def append(self, drafts: Sequence[Draft]) -> list[int]:
        """Write the drafts durably, unfenced; see the port."""
        offsets = await self._outgoing.append(drafts)
        for draft, offset in zip(drafts, offsets, strict=True):
            self._reader.written((draft.topic, draft.partition), offset)
        return offsets

    async def read(
        self, topic: str, partition: int, position: int, *, records_max: int = 500, headers: bool = True
    ) -> Slice:
        """Return committed records; of an inbox that is waited for, what came in the last milliseconds may not be seen yet."""
        self._places.check_place(topic, partition)
        return await self._reader.read(topic, partition, position, min(records_max, RECORDS_MAX), headers=headers)

    async def watermarks(self, topic: str, partition: int) -> Watermarks:
        """Return the partition's bounds, asked now."""
        self._places.check_place(topic, partition)
        return await self._reader.watermarks(topic, partition)

    async def wait(self, positions: Mapping[tuple[str, int], int], timeout_ms: int) -> None:
        """Return when there is something to read at one of the positions, or after the timeout."""
        for topic, partition in positions:
            self._places.check_place(topic, partition)
        await self._reader.wait(positions, timeout_ms)

    async def open_writer(self, shard: int, owner: str) -> KafkaWriter:  # noqa: ARG002 Kafka knows owners by their epoch
        """Fence the shard's previous writer, resolve its open transaction, and return the new one."""
        if not 0 <= shard < self.partitions:
            raise ValidationFailed(f"shard {shard}: this log has the shards 0 to {self.partitions - 1}")
        deadline_s, survey = self._cluster.deadline_s, self._survey
        writer = await KafkaWriter.open(shard, self._cluster, self._places, deadline_s=deadline_s, survey=survey)
        self._reader.ends_behind(writer.ends)
        return writer

    async def join(self, node: str) -> KafkaMembership:
        """Become a member under a name; a handle has one membership, the newest."""
        for earlier in self._memberships:
            await earlier.leave()
        announcing = partial(announce, self._outgoing, self._clock, node)
        membership = KafkaMembership(
            node, self._cluster.address, self.partitions, announcing, self._times, self._cluster.deadline_s
        )
        self._memberships = [membership]
        await membership.start()
        return membership

    async def nodes(self) -> list[NodeInfo]:
        """Return the members, dead ones of the last hour included."""
        return await read_nodes(self._cluster, self._settings, self._clock)

    def mirror(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Show the positions to Kafka's tools, as the offsets of a consumer group."""
        self._mirror.tell(positions)

    async def clock_us(self) -> int:
        """Return the clock of the broker that leads the settings, from a record written there."""
        try:
            return await self._outgoing.clock_us()
        except AppendUnknown as error:
            raise LogUnreachable(f"{self.url}: the log's clock could not be read: {error}") from error

    async def trim(self, topic: str, partition: int, before: int) -> None:
        """Delete records below `before`, at most to the last stable offset; a compacted topic is Kafka's to clean."""
        self._places.check_place(topic, partition)
        marks = await self._reader.watermarks(topic, partition)
        before = min(before, marks.stable)
        if topic not in COMPACTED and before > marks.start:
            await self._cluster.insist(partial(self._delete, topic, partition, before), f"trim {topic}/{partition}")

    async def compact(self, topic: str, partition: int, before: int) -> None:
        """Do nothing: the brokers compact by themselves."""

    async def get_setting(self, name: str) -> str | None:
        """Read a fact that the log carries about itself."""
        return await self._settings.get(name)

    async def put_setting(self, name: str, value: str, *, expected: str | None) -> bool:
        """Set it if it is still `expected`; return whether it was."""
        return await self._settings.put(name, value, expected)

    async def close(self) -> None:
        """Leave, stop polling, close the connections. Doing it again does nothing."""
        if self._cluster.closed:
            return
        for membership in self._memberships:
            await membership.leave()
        await self._mirror.close()
        await self._outgoing.close()
        await self._survey.close()
        await self._reader.close()
        await self._cluster.close()

    async def _delete(self, topic: str, partition: int, before: int) -> None:
        request = DeleteRecordsRequest([(self._cluster.address.topic(topic), [(partition, before)])], DELETE_MS)
        response = await self._cluster.ask(self._cluster.leader(topic, partition), request, "trim")
        for topic_answer in response.topics:
            for partition_answer in topic_answer[1]:
                check_code(partition_answer[2])


async def _check(cluster: Cluster, settings: Settings) -> int:
    """Return the recorded number of partitions; raises `ValidationFailed` when the log is not made, or not so any more."""
    counts = await cluster.insist(cluster.partition_counts, f"open {cluster.address.url}")
    made = f"make it with `hms log init --log {cluster.address.url}`"
    if cluster.address.settings_topic not in counts:
        raise ValidationFailed(f"{cluster.address.url}: there is no log there; {made}")
    recorded = await settings.get(PARTITIONS_SETTING)
    if recorded is None:
        raise ValidationFailed(f"{cluster.address.url}: the log is made half-way; {made}")
    for name, wanted in wanted_topics(cluster.address, int(recorded), 1).items():
        if counts.get(name, 0) != wanted.partitions:
            raise ValidationFailed(
                f"{name} has {counts.get(name, 0)} partitions, expected {wanted.partitions}, as the log was made with; "
                f"`hms doctor --log {cluster.address.url}` names the repair"
            )
    return int(recorded)
