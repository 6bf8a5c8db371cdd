"""The brokers: do they answer from here, and which of their settings would stop HMS or its tools."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from .....core.log.kafka.inspection import ClusterSeen
from .....core.log.kafka.oracle import DEFAULT_TIMES
from .....core.log.kafka.producing import REQUEST_BYTES_MAX
from .....core.log.kafka.transactions import TRANSACTION_TIMEOUT_MS
from ..check import Check, Outcome

SESSION_MS: Final = DEFAULT_TIMES.session_ms
"""A node's session with the group that shares out the shards."""
DAY_MS: Final = 86_400_000
DAY_MINUTES: Final = 1_440
REQUEST_BYTES: Final = REQUEST_BYTES_MAX + 1_000_000
"""A commit of thousands of records goes out in requests of up to this, and what is round them."""
SAFE_COPIES: Final = 3


class Rule(NamedTuple):
    """A number that a broker is set to, what it has to be, and what happens where it is not."""

    setting: str
    expected: str
    holds: Callable[[int], bool]
    outcome: Outcome
    why: str


RULES: Final = (
    Rule(
        "group.min.session.timeout.ms", f"at most {SESSION_MS}", lambda ms: ms <= SESSION_MS, "fail",
        "nodes cannot join",
    ),
    Rule(
        "group.max.session.timeout.ms", f"at least {SESSION_MS}", lambda ms: ms >= SESSION_MS, "fail",
        "nodes cannot join",
    ),
    Rule(
        "transaction.max.timeout.ms", f"at least {TRANSACTION_TIMEOUT_MS}", lambda ms: ms >= TRANSACTION_TIMEOUT_MS, "fail",
        "no shard can be opened",
    ),
    Rule(
        "socket.request.max.bytes", f"at least {REQUEST_BYTES}", lambda size: size >= REQUEST_BYTES, "fail",
        "large commits are cut off",
    ),
    Rule(
        "transactional.id.expiration.ms", f"at least {DAY_MS} (a day)", lambda ms: ms >= DAY_MS, "warn",
        "a shard that rests so long is fenced by a new producer id instead of its next epoch",
    ),
    Rule(
        "offsets.retention.minutes", f"at least {DAY_MINUTES} (a day)", lambda minutes: minutes >= DAY_MINUTES, "warn",
        "once all nodes were stopped for so long, group tools show no lag until they run again (HMS reads none of it)",
    ),
)  # fmt: skip


def broker_checks(cluster: ClusterSeen) -> Iterator[Check]:
    """Judge the brokers of a cluster that answered."""
    yield _reached(cluster)
    yield from _limits(cluster)
    yield _auto_created(cluster)
    yield from _verified(cluster)
    yield from _internal_topics(cluster)


def _reached(cluster: ClusterSeen) -> Check:
    failures = [broker.failure for broker in cluster.brokers if broker.failure]
    if failures:
        todo = (
            "start it; or, if it runs: clients go to the address that a broker advertises, so set its "
            "advertised.listeners to one that this host reaches"
        )
        return Check("brokers", "fail", "; ".join(failures), todo)
    places = ", ".join(broker.place for broker in cluster.brokers)
    return Check("brokers", "ok", f"{len(cluster.brokers)}: {places}")


def _limits(cluster: ClusterSeen) -> Iterator[Check]:
    broken = [
        Check(
            "broker settings",
            rule.outcome,
            f"{rule.setting}={value} on {place}, expected {rule.expected}: {rule.why}",
            f"set it in server.properties of {place}, and restart that broker",
        )
        for rule in RULES
        for place, value in cluster.setting(rule.setting).items()
        if not rule.holds(int(value))
    ]
    yield from broken or [Check("broker settings", "ok", f"{len(RULES)} looked at")]


def _auto_created(cluster: ClusterSeen) -> Check:
    places = [place for place, value in cluster.setting("auto.create.topics.enable").items() if value == "true"]
    if not places:
        return Check("auto-created topics", "ok", "off")
    seen = f"auto.create.topics.enable=true on {', '.join(places)}: a slip in a topic's name makes a topic that nobody reads"
    return Check("auto-created topics", "warn", seen, "set it to false in server.properties, and restart these brokers")


def _verified(cluster: ClusterSeen) -> Iterator[Check]:
    """Look whether brokers check that a transaction goes on before they take a record of it."""
    setting = "transaction.partition.verification.enable"
    places = [place for place, value in cluster.setting(setting).items() if value == "false"]
    if places:
        seen = f"{setting}=false on {', '.join(places)}: a late record can hang in a lane for ever"
        yield Check("hanging transactions", "warn", seen, "set it to true (kafka-configs.sh --entity-type brokers)")


def _internal_topics(cluster: ClusterSeen) -> Iterator[Check]:
    """Look at how safe Kafka keeps its own records of transactions and groups."""
    alive = sum(not broker.failure for broker in cluster.brokers)
    for place, needed in cluster.setting("transaction.state.log.min.isr").items():
        if int(needed) > alive:
            seen = f"transaction.state.log.min.isr={needed} on {place}, with {alive} brokers: no transaction can commit"
            yield Check(
                "kafka's own topics", "fail", seen, "start more brokers, or set it to less in server.properties"
            )
    for setting in ("transaction.state.log.replication.factor", "offsets.topic.replication.factor"):
        few = {place: value for place, value in cluster.setting(setting).items() if int(value) < SAFE_COPIES}
        if few and len(cluster.brokers) >= SAFE_COPIES:
            seen = ", ".join(f"{setting}={value} on {place}" for place, value in few.items())
            todo = "set it to 3 and move that topic (kafka-reassign-partitions.sh): one lost broker stops all commits"
            yield Check("kafka's own topics", "warn", seen, todo)
