"""What a cluster says about itself, asked once: its brokers and their settings, the log's topics and theirs.

Nothing is created by looking: topics are asked for all together, because naming one that is not there makes it where the
broker creates topics by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from ...errors import HmsError
from .address import KafkaAddress
from .failures import DEADLINE_S, failure, within

_OWN_SETTING: Final = 1
"""The source that Kafka names for what was set on the topic itself."""
REQUEST_MS: Final = 5_000


class BrokerSeen(NamedTuple):
    """A broker as the cluster names it; `failure` says why it could not be asked for its settings, "" if it could."""

    number: int
    place: str
    settings: Mapping[str, str]
    failure: str


class PartitionSeen(NamedTuple):
    """Which brokers have it; `leader` is -1 where there is none."""

    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


class TopicSeen(NamedTuple):
    """A topic; `settings` are those in force, `own` the names of those that were set for this topic."""

    name: str
    partitions: tuple[PartitionSeen, ...]
    settings: Mapping[str, str]
    own: frozenset[str]

    @property
    def replication(self) -> int:
        """The smallest number of replicas of any partition."""
        return min((len(partition.replicas) for partition in self.partitions), default=0)


class ClusterSeen(NamedTuple):
    """All brokers, and the topics whose names begin with the log's prefix and a dot, by name."""

    brokers: tuple[BrokerSeen, ...]
    topics: Mapping[str, TopicSeen]

    def setting(self, name: str) -> dict[str, str]:
        """Return a broker setting's value for each broker (`HOST:PORT`) that told it."""
        return {broker.place: broker.settings[name] for broker in self.brokers if name in broker.settings}


@asynccontextmanager
async def administrator(address: KafkaAddress) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect; raises `LogUnreachable` when no bootstrap broker answers."""
    client = AIOKafkaAdminClient(request_timeout_ms=REQUEST_MS, client_id="hms-admin", **address.client_kwargs())
    try:
        await within(DEADLINE_S, client.start(), f"connect to {','.join(address.bootstrap)}")
        yield client
    finally:
        await client.close()


async def inspect(address: KafkaAddress) -> ClusterSeen:
    """Ask a cluster. Raises `LogUnreachable`, and `NotAuthorised` for topics whose settings this client may not see."""
    async with administrator(address) as client:
        found = await within(DEADLINE_S, client.describe_cluster(), "describe the cluster")
        listed = await within(DEADLINE_S, client.describe_topics(), "list the topics")
        mine = [topic for topic in listed if topic["topic"].startswith(address.topic(""))]
        brokers = await asyncio.gather(*(_broker(client, broker) for broker in found["brokers"]))
        settings = await topic_settings(client, [topic["topic"] for topic in mine])
    topics = {topic["topic"]: _topic(topic, settings[topic["topic"]]) for topic in mine}
    return ClusterSeen(tuple(sorted(brokers)), dict(sorted(topics.items())))


async def topic_settings(
    client: AIOKafkaAdminClient, names: Iterable[str]
) -> dict[str, tuple[Mapping[str, str], frozenset[str]]]:
    """Return, for each topic, the settings in force and the names of its own. Raises `LogUnreachable`, `NotAuthorised`."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    if not asked:
        return {}
    answers = await within(DEADLINE_S, client.describe_configs(asked), "describe the topics' settings")
    found: dict[str, tuple[Mapping[str, str], frozenset[str]]] = {}
    for code, message, _, name, entries in (resource for answer in answers for resource in answer.resources):
        _check(code, message, f"describe the settings of {name}")
        own = frozenset(entry[0] for entry in entries if entry[3] == _OWN_SETTING)
        found[name] = (_values(entries), own)
    return found


async def _broker(client: AIOKafkaAdminClient, broker: Mapping[str, Any]) -> BrokerSeen:
    number, place = broker["node_id"], f"{broker['host']}:{broker['port']}"
    asked = client.describe_configs([ConfigResource(ConfigResourceType.BROKER, str(number))])
    try:
        (answer,) = await within(DEADLINE_S, asked, f"ask broker {number} at {place}")
        ((code, message, _, _, entries),) = answer.resources
        _check(code, message, f"ask broker {number} for its settings")
    except HmsError as error:
        return BrokerSeen(number, place, {}, str(error))
    return BrokerSeen(number, place, _values(entries), "")


def _check(code: int, message: str | None, what: str) -> None:
    """Raise the error that an answer carries, where there is one."""
    if code:
        raise failure(errors.for_code(code)(message or ""), what)


def _values(entries: Iterable[Any]) -> dict[str, str]:
    """Leave out what the broker keeps to itself (passwords)."""
    return {entry[0]: entry[1] for entry in entries if entry[1] is not None}


def _topic(topic: Mapping[str, Any], settings: tuple[Mapping[str, str], frozenset[str]]) -> TopicSeen:
    parts = sorted(topic["partitions"], key=lambda part: int(part["partition"]))
    seen = (PartitionSeen(part["leader"], tuple(part["replicas"]), tuple(part["isr"])) for part in parts)
    return TopicSeen(topic["topic"], tuple(seen), *settings)
