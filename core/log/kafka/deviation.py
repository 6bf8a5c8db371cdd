"""Where a log's topics differ from what HMS needs, and the line of Kafka's own tools that repairs each."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from .acls import tool_options
from .address import KafkaAddress
from .inspection import ClusterSeen, TopicSeen

AT_LEAST: Final = frozenset({"max.message.bytes"})
"""Settings of which more is fine."""
COSTS_ONLY: Final = frozenset({"compression.type", "segment.bytes"})
"""Settings of which another value costs room or work, and nothing that was written."""
MIN_IN_SYNC: Final = "min.insync.replicas"
SAFE_COPIES_MIN: Final = 2
"""Of more copies than this, two have to have a record before it counts as written."""


class Wanted(NamedTuple):
    """What a topic (named as on the cluster) has to be; `replication` is what it should have at least."""

    partitions: int
    replication: int
    settings: Mapping[str, str]


class Deviation(NamedTuple):
    """One difference. With a `grave` one HMS does not work, or loses what it wrote; the other ones are a risk."""

    topic: str
    what: str
    expected: str
    got: str
    repair: str
    grave: bool = True

    def __str__(self) -> str:
        """Return it as one line, without the repair."""
        return f"{self.topic}: {self.what} is {self.got}, expected {self.expected}"


def deviations(address: KafkaAddress, cluster: ClusterSeen, wanted: Mapping[str, Wanted]) -> list[Deviation]:
    """Compare the topics that are there; missing ones are none."""
    found = [(cluster.topics[name], want) for name, want in wanted.items() if name in cluster.topics]
    brokers = [broker.number for broker in cluster.brokers]
    return [
        deviation
        for topic, want in found
        for deviation in (
            *_partitions(address, topic, want.partitions),
            *_settings(address, topic, want.settings),
            *_in_sync(address, topic),
            *_replication(address, topic, min(want.replication, len(brokers)), brokers),
        )
    ]


def _partitions(address: KafkaAddress, topic: TopicSeen, expected: int) -> Iterator[Deviation]:
    got = len(topic.partitions)
    if got < expected:
        tool = f"kafka-topics.sh {tool_options(address)} --alter --topic {topic.name} --partitions {expected}"
        yield Deviation(topic.name, "the number of partitions", str(expected), str(got), tool)
    elif got > expected:
        # Kafka cannot take partitions away, and who produces by key has used the new ones at once.
        other = address._replace(prefix=f"{address.prefix}-{got}").url
        tool = f"hms log init --log {other} --partitions {got}"
        yield Deviation(topic.name, "the number of partitions", str(expected), str(got), tool)


def _settings(address: KafkaAddress, topic: TopicSeen, wanted: Mapping[str, str]) -> Iterator[Deviation]:
    for name, expected in wanted.items():
        got = topic.settings.get(name, "not there")
        if (
            name != MIN_IN_SYNC
            and got != expected
            and not (name in AT_LEAST and got.isdigit() and int(got) >= int(expected))
        ):
            repair = _set(address, topic.name, name, expected)
            yield Deviation(topic.name, name, expected, got, repair, grave=name not in COSTS_ONLY)


def _in_sync(address: KafkaAddress, topic: TopicSeen) -> Iterator[Deviation]:
    """Too many: nothing can be written, or not while one broker is away; too few: what is acknowledged may be lost."""
    needed, copies = int(topic.settings.get(MIN_IN_SYNC, "1")), topic.replication
    most, least = max(1, copies - 1), 2 if copies > SAFE_COPIES_MIN else 1
    if least <= needed <= most:
        return
    expected = str(least) if least == most else f"{least} to {most}"
    repair = _set(address, topic.name, MIN_IN_SYNC, str(least))
    yield Deviation(
        topic.name, MIN_IN_SYNC, f"{expected} (of {copies} replicas)", str(needed), repair, grave=needed > copies
    )


def _replication(address: KafkaAddress, topic: TopicSeen, expected: int, brokers: Sequence[int]) -> Iterator[Deviation]:
    if topic.replication < expected:
        repair = _reassign(address, topic, expected, brokers)
        yield Deviation(
            topic.name, "the number of replicas", f"at least {expected}", str(topic.replication), repair, grave=False
        )


def _set(address: KafkaAddress, topic: str, name: str, value: str) -> str:
    return (
        f"kafka-configs.sh {tool_options(address)} --alter --entity-type topics --entity-name {topic} "
        f"--add-config {name}={value}"
    )


def _reassign(address: KafkaAddress, topic: TopicSeen, copies: int, brokers: Sequence[int]) -> str:
    """Add copies on the next brokers round; those that have one keep it, so leaders stay."""
    moves = [
        {"topic": topic.name, "partition": number, "replicas": _spread(partition.replicas, number, copies, brokers)}
        for number, partition in enumerate(topic.partitions)
    ]
    plan = json.dumps({"version": 1, "partitions": moves}, separators=(",", ":"))
    tool = f"kafka-reassign-partitions.sh {tool_options(address)}"
    return f"{tool} --reassignment-json-file <(echo '{plan}') --execute"


def _spread(has: Sequence[int], number: int, copies: int, brokers: Sequence[int]) -> list[int]:
    turn = number % len(brokers)
    others = [broker for broker in (*brokers[turn:], *brokers[:turn]) if broker not in has]
    return [*has, *others][: max(copies, len(has))]
