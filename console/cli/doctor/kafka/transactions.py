"""A transaction tried on every broker; and, from when they say it was, their clocks."""

from collections.abc import Iterator
from typing import Final

from .....core.errors import HmsError
from .....core.log.kafka.address import KafkaAddress
from .....core.log.kafka.inspection import ClusterSeen
from .....core.log.kafka.probe import Probed, probe
from .....core.log.port import OUTBOX
from .....core.runtime.fitness import CLOCK_OFF_US_MAX
from ..check import Check, Outcome

AHEAD_WARN_MS: Final = 1_000.0
AHEAD_FAIL_MS: Final = CLOCK_OFF_US_MAX / 1_000
"""A node whose clock is so far off owns no shard."""
SLOW_WARN_MS: Final = 1_000.0
LISTENER: Final = (
    "does that broker reach its own address? It asks the transaction's coordinator over inter.broker.listener.name: give "
    "it a listener that the brokers themselves reach (in a container: one of its own); else look at min.insync.replicas"
)


async def transaction_checks(address: KafkaAddress, cluster: ClusterSeen) -> list[Check]:
    """Write to a partition that each broker leads, in a transaction that is aborted. Nothing without the log's topics."""
    places = places_to_try(address, cluster)
    if not places:
        return []
    try:
        found = await probe(address, places)
    except HmsError as error:
        return [Check("transactions", "fail", str(error), LISTENER)]
    names = {broker.number: broker.place for broker in cluster.brokers}
    told = {names.get(number, str(number)): one for number, one in found.items()}
    return probe_checks(told)


def probe_checks(told: dict[str, Probed]) -> list[Check]:
    """Judge what each broker (`HOST:PORT`) answered."""
    return [_transactions(told), *_clocks(told)]


def places_to_try(address: KafkaAddress, cluster: ClusterSeen) -> dict[int, tuple[str, int]]:
    """Return for each broker a partition that it leads: one of the outbox, whose readers mind a gap least."""
    places: dict[int, tuple[str, int]] = {}
    for name in (address.topic(OUTBOX), address.settings_topic):
        topic = cluster.topics.get(name)
        for number, partition in enumerate(topic.partitions if topic else ()):
            if partition.leader >= 0:
                places.setdefault(partition.leader, (name, number))
    return places


def _transactions(told: dict[str, Probed]) -> Check:
    failed = {place: one.failure for place, one in told.items() if one.failure}
    if failed:
        return Check("transactions", "fail", "; ".join(f"{place}: {why}" for place, why in failed.items()), LISTENER)
    slowest = max(one.taken_ms for one in told.values())
    seen = f"{len(told)} of {len(told)} brokers took one, within {slowest:.0f} ms"
    slow = slowest > SLOW_WARN_MS
    todo = "look at the brokers' disks and load: every commit takes that long" if slow else ""
    return Check("transactions", "warn" if slow else "ok", seen, todo)


def _clocks(told: dict[str, Probed]) -> Iterator[Check]:
    """Compare clocks as far as the way there allows: half of what the answer took is unknown."""
    aheads = {place: (one.ahead_ms, one.taken_ms / 2) for place, one in told.items() if one.ahead_ms is not None}
    off = {place: ahead for place, (ahead, unsure) in aheads.items() if abs(ahead) - unsure > AHEAD_WARN_MS}
    if off:
        outcome: Outcome = "fail" if max(map(abs, off.values())) > AHEAD_FAIL_MS else "warn"
        seen = ", ".join(
            f"{place} is {abs(ms) / 1e3:.1f} s {'ahead' if ms > 0 else 'behind'}" for place, ms in off.items()
        )
        yield Check(
            "kafka clock", outcome, seen, "run NTP on that host and on this one: messages age by the broker's clock"
        )
    elif aheads:
        unsure = max(abs(ahead) + unsure for ahead, unsure in aheads.values())
        yield Check("kafka clock", "ok", f"within {unsure:.0f} ms of this host's")
