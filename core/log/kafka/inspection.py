"""What a cluster says about itself, asked once: its brokers and their settings, the log's topics and theirs.

Nothing is created by looking: topics are asked for all together, because naming one that is not there makes it where the
broker creates topics by itself.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from aiokafka import errors
from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import DescribeConfigsRequest
from aiokafka.protocol.metadata import MetadataRequest

from ...errors import HmsError, LogUnreachable, NotAuthorised
from .address import KafkaAddress
from .failures import DEADLINE_S, failure, within
from .first_contact import bootstrap

_OWN_SETTING: Final = 1
"""The source that Kafka names for what was set on the topic itself."""
_TOPIC: Final = ConfigResourceType.TOPIC
_BROKER: Final = ConfigResourceType.BROKER
REQUEST_MS: Final = 5_000


class BrokerSeen(NamedTuple):
    """A broker as the cluster names it; `failure` says why it did not answer; no settings: it may keep them to itself."""

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


async def inspect(address: KafkaAddress) -> ClusterSeen:
    """Ask a cluster. Raises `LogUnreachable`, and `NotAuthorised` for topics whose settings this client may not see."""
    client = AIOKafkaClient(request_timeout_ms=REQUEST_MS, client_id="hms-inspection", **address.client_kwargs())
    try:
        await within(DEADLINE_S, bootstrap(client, address), f"connect to {','.join(address.bootstrap)}")
        numbers = {node.nodeId: f"{node.host}:{node.port}" for node in client.cluster.brokers()}
        asked = await asyncio.gather(*(_broker(client, *one) for one in sorted(numbers.items())))
        answering = [broker.number for broker in asked if not broker.failure]
        if not answering:
            raise LogUnreachable(_nobody(address, [broker.failure for broker in asked]))
        topics = await _topics(client, answering[0], address.topic(""))
    finally:
        await client.close()
    return ClusterSeen(tuple(asked), topics)


def _nobody(address: KafkaAddress, failures: list[str]) -> str:
    return (
        f"{','.join(address.bootstrap)} answers, but no broker that it names does: {'; '.join(failures)}. Clients go to "
        "the address that a broker advertises: set its advertised.listeners to one that this host reaches"
    )


async def _broker(client: AIOKafkaClient, number: int, place: str) -> BrokerSeen:
    what = f"ask broker {number} at {place}"
    try:
        found = await _settings(client, number, [(_BROKER, str(number), None)], what)
    except NotAuthorised:  # it answers, and keeps its settings to itself
        return BrokerSeen(number, place, {}, "")
    except HmsError as error:
        return BrokerSeen(number, place, {}, str(error))
    return BrokerSeen(number, place, found[str(number)][0], "")


async def _topics(client: AIOKafkaClient, number: int, prefix: str) -> dict[str, TopicSeen]:
    request = MetadataRequest(None, allow_auto_topic_creation=False)
    answer = await within(DEADLINE_S, client.send(number, request), "list the topics")
    mine = {one["topic"]: one for one in answer.to_object()["topics"] if one["topic"].startswith(prefix)}
    if not mine:
        return {}
    resources = [(_TOPIC, name, None) for name in sorted(mine)]
    settings = await _settings(client, number, resources, "ask for the topics' settings")
    return {name: _topic(mine[name], *settings[name]) for name in sorted(mine)}


async def _settings(
    client: AIOKafkaClient, number: int, resources: list[Any], what: str
) -> dict[str, tuple[Mapping[str, str], frozenset[str]]]:
    """Return, for each resource, the settings in force and the names of its own."""
    answer = await within(DEADLINE_S, client.send(number, DescribeConfigsRequest(resources)), what)
    found: dict[str, tuple[Mapping[str, str], frozenset[str]]] = {}
    for code, message, _, name, entries in answer.resources:
        if code:
            raise failure(errors.for_code(code)(message or ""), f"{what} ({name})")
        found[name] = (_values(entries), frozenset(entry[0] for entry in entries if entry[3] == _OWN_SETTING))
    return found


def _values(entries: Iterable[Any]) -> dict[str, str]:
    """Leave out what the broker keeps to itself (passwords)."""
    return {entry[0]: entry[1] for entry in entries if entry[1] is not None}


def _topic(topic: Mapping[str, Any], settings: Mapping[str, str], own: frozenset[str]) -> TopicSeen:
    parts = sorted(topic["partitions"], key=lambda part: int(part["partition"]))
    seen = (PartitionSeen(part["leader"], tuple(part["replicas"]), tuple(part["isr"])) for part in parts)
    return TopicSeen(topic["topic"], tuple(seen), settings, own)
