"""Making a log: what is there, what is missing, what is wrong; then the missing topics, and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ...errors import LogUnreachable, ValidationFailed
from ..port import DEFAULT_PARTITIONS, NORMAL
from .address import KafkaAddress
from .cluster import Cluster
from .deviation import Deviation, Wanted, deviations
from .failures import DEADLINE_S, failure, within
from .inspection import ClusterSeen, inspect
from .reader import Reader
from .settings import Settings
from .topics import ALL, PARTITIONS_SETTING, SETTINGS, in_sync, wanted_topics

COPIES: Final = 3
"""Of each topic, where there are so many brokers: one may be lost while another is being restarted."""
PARTITIONS_MAX: Final = 4_096
MAKING_S: Final = 30.0
"""A busy broker takes its time over a hundred partitions, and each has no leader until it has."""


class Plan(NamedTuple):
    """What a look at a cluster gave. Topics are named as on the cluster."""

    cluster: ClusterSeen
    wanted: dict[str, Wanted]
    missing: tuple[str, ...]
    deviations: tuple[Deviation, ...]
    recorded: int | None
    """The number of partitions that the log says it has; None: it is not made, or not to its end."""

    @property
    def refused(self) -> tuple[Deviation, ...]:
        """What must be repaired before HMS uses the log."""
        return tuple(one for one in self.deviations if one.grave)

    @property
    def whole(self) -> bool:
        """Whether there is nothing to make."""
        return not self.missing and self.recorded is not None

    @property
    def partitions(self) -> int:
        """Of each topic but those of schemas and settings."""
        return max(want.partitions for want in self.wanted.values())

    @property
    def replication(self) -> int:
        """Copies of each topic that would be made."""
        return max(want.replication for want in self.wanted.values())


async def look(
    address: KafkaAddress,
    partitions: int | None = None,
    replication: int | None = None,
    *,
    cluster: ClusterSeen | None = None,
) -> Plan:
    """Compare a cluster with a log of so many partitions (None: as is recorded, else 16) and copies (None: up to 3).

    `cluster` is what was just seen of it, if it was. Raises `ValidationFailed` for a number of partitions that is not
    the recorded one and for more copies than brokers, `LogUnreachable`, `NotAuthorised`.
    """
    cluster = cluster or await inspect(address)
    recorded = await _recorded(address, cluster)
    count = _partitions(address, cluster, partitions, recorded)
    copies = _copies(cluster, replication)
    topics = wanted_topics(address, count, copies)
    wanted = {name: want._replace(settings={**want.settings, **in_sync(copies)}) for name, want in topics.items()}
    missing = tuple(name for name in wanted if name not in cluster.topics)
    return Plan(cluster, wanted, missing, tuple(deviations(address, cluster, wanted)), recorded)


async def create(address: KafkaAddress, plan: Plan) -> None:
    """Make what is missing. Raises `ValidationFailed` for a plan with something to repair; see `look`."""
    if plan.refused:
        raise ValidationFailed(f"{plan.refused[0]}; first: {plan.refused[0].repair}")
    topics = [
        NewTopic(name, want.partitions, want.replication, topic_configs={**want.settings, **in_sync(want.replication)})
        for name, want in plan.wanted.items()
        if name in plan.missing
    ]
    if topics:
        await _create_topics(address, topics)
        await _await_topics(address, [topic.name for topic in topics])
    if plan.recorded is None:
        async with _settings(address, MAKING_S) as settings:
            # Somebody else may just have made the same log: then this one is his, and his number holds.
            await settings.put(PARTITIONS_SETTING, str(plan.partitions), None)
            if (recorded := await settings.get(PARTITIONS_SETTING)) != str(plan.partitions):
                raise ValidationFailed(f"{address.url} was made with {recorded} partitions at the same moment")


async def _create_topics(address: KafkaAddress, topics: list[NewTopic]) -> None:
    making_ms = int(MAKING_S * 1_000)
    client = AIOKafkaAdminClient(request_timeout_ms=making_ms, client_id="hms-creation", **address.client_kwargs())
    try:
        await within(DEADLINE_S, client.start(), f"connect to {','.join(address.bootstrap)}")
        answer = await within(MAKING_S, client.create_topics(topics, making_ms), "create the topics")
    except AttributeError as error:  # of aiokafka, where the cluster names no broker
        raise LogUnreachable("create the topics: no broker is back in its own cluster yet; try again") from error
    finally:
        await client.close()
    for name, code, message in answer.topic_errors:
        if code not in {0, errors.TopicAlreadyExistsError.errno}:
            raise failure(errors.for_code(code)(message or ""), f"create {name}")


async def _await_topics(address: KafkaAddress, names: list[str]) -> None:
    """Return once the brokers speak of the topics that they have made: whoever opens the log next counts them."""
    cluster = Cluster(address, ALL, MAKING_S)

    async def all_there() -> None:
        counts = await cluster.partition_counts()
        for name in names:
            if name not in counts:
                raise errors.UnknownTopicOrPartitionError(name)

    try:
        await cluster.insist(all_there, "make the log")
    finally:
        await cluster.close()


@asynccontextmanager
async def _settings(address: KafkaAddress, deadline_s: float = DEADLINE_S) -> AsyncIterator[Settings]:
    cluster = Cluster(address, (SETTINGS,), deadline_s)
    reader = Reader(cluster, (SETTINGS,))
    try:
        yield Settings(cluster, reader)
    finally:
        await reader.close()
        await cluster.close()


async def _recorded(address: KafkaAddress, cluster: ClusterSeen) -> int | None:
    if address.settings_topic not in cluster.topics:
        return None
    async with _settings(address) as settings:
        found = await settings.get(PARTITIONS_SETTING)
    return int(found) if found else None


def _copies(cluster: ClusterSeen, asked: int | None) -> int:
    brokers = len(cluster.brokers)
    if asked is not None and not 1 <= asked <= brokers:
        raise ValidationFailed(f"{asked} copies of each topic: expected 1 to {brokers}, a broker for each")
    return asked or min(COPIES, brokers)


def _partitions(address: KafkaAddress, cluster: ClusterSeen, asked: int | None, recorded: int | None) -> int:
    """Return the recorded number; without one, a log that was made half-way tells by the topics it has."""
    inbox = cluster.topics.get(address.topic(NORMAL))
    known = recorded or (len(inbox.partitions) if inbox else None)
    if asked is not None and known is not None and asked != known:
        raise ValidationFailed(
            f"{address.url} has {known} partitions, for ever: an actor's place follows from that number. "
            "Leave --partitions out, or make another log under another prefix"
        )
    count = known or (DEFAULT_PARTITIONS if asked is None else asked)
    if not 1 <= count <= PARTITIONS_MAX:
        raise ValidationFailed(f"{count} partitions: expected 1 to {PARTITIONS_MAX}")
    return count
