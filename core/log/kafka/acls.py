"""Who needs which rights on the cluster: the least that each role can work with, as lines of Kafka's own tool."""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

from ..port import EVENTS, LANES, OUTBOX, SCHEMAS
from .address import KafkaAddress

Role: TypeAlias = Literal["node", "client", "reader", "operator"]
Resource: TypeAlias = Literal["topic", "group", "transactional-id", "cluster"]

WHAT: Final[dict[Role, str]] = {
    "node": "runs shards (hms node, hms up)",
    "client": "sends, asks and listens (hms.connect, hms component, hms task)",
    "reader": "looks (every command that lists or shows), consumers of others",
    "operator": "makes and checks the log, retries dead letters (hms log init, hms doctor, hms dead-letter retry)",
}
"""Each role, and who has it."""


class Grant(NamedTuple):
    """The operations allowed on resources of these names, or of these prefixes. Kafka lets whoever reads or writes describe."""

    resource: Resource
    names: tuple[str, ...]
    operations: tuple[str, ...]
    prefixed: bool = False


def grants(address: KafkaAddress, role: Role) -> tuple[Grant, ...]:
    """Return what a role needs. Nobody but the operator creates topics, and nobody deletes or alters one."""
    match role:
        case "node":
            return _node(address)
        case "client":
            return _client(address)
        case "reader":
            return (_topics(address, "Read"), Grant("group", (address.nodes_group,), ("Describe",)))
        case "operator":
            return _operator(address)


def acl_lines(address: KafkaAddress, role: Role) -> list[str]:
    """Return the `kafka-acls.sh` lines that grant it to the user `hms-ROLE`."""
    return [" ".join(_words(address, grant, f"User:hms-{role}")) for grant in grants(address, role)]


def tool_options(address: KafkaAddress) -> str:
    """Return the options with which Kafka's tools reach the cluster as HMS does."""
    options = f"--bootstrap-server {','.join(address.bootstrap)}"
    return f"{options} --command-config {address.properties}" if address.properties else options


def _node(address: KafkaAddress) -> tuple[Grant, ...]:
    return (
        _topics(address, "Read", "Write"),
        # Kafka calls it Delete when the records before an offset are removed; nothing else of HMS is trimmed yet.
        Grant("topic", (address.topic(OUTBOX),), ("Delete",)),
        Grant("group", (address.nodes_group, address.shards_group), ("Read",)),
        Grant("transactional-id", (f"{address.prefix}-shard-",), ("Write",), prefixed=True),
        Grant("transactional-id", (address.settings_transactional_id,), ("Write",)),
    )


def _client(address: KafkaAddress) -> tuple[Grant, ...]:
    written = tuple(map(address.topic, (*LANES, SCHEMAS)))
    read = (*map(address.topic, (OUTBOX, EVENTS, SCHEMAS)), address.settings_topic)
    return (
        _topics(address, "Describe"),  # that they are there, and how many partitions they have
        Grant("topic", written, ("Write",)),
        Grant("topic", read, ("Read",)),
        Grant("group", (address.nodes_group,), ("Describe",)),
    )


def _operator(address: KafkaAddress) -> tuple[Grant, ...]:
    return (
        _topics(address, "Create", "Read", "Write", "DescribeConfigs"),
        Grant("group", (address.nodes_group,), ("Describe",)),
        Grant("transactional-id", (f"{address.prefix}-doctor", address.settings_transactional_id), ("Write",)),
        Grant("cluster", (), ("Describe", "DescribeConfigs")),
    )


def _topics(address: KafkaAddress, *operations: str) -> Grant:
    return Grant("topic", (address.topic(""),), operations, prefixed=True)


def _words(address: KafkaAddress, grant: Grant, principal: str) -> Iterator[str]:
    yield f"kafka-acls.sh {tool_options(address)} --add --allow-principal {principal}"
    yield from (f"--operation {operation}" for operation in grant.operations)
    yield from (f"--{grant.resource} {name}" for name in grant.names)
    if grant.resource == "cluster":
        yield "--cluster"
    if grant.prefixed:
        yield "--resource-pattern-type prefixed"
