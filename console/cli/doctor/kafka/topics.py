"""The log's topics: are they there, are they as HMS needs them, are their copies where they should be."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from .....core.log.kafka.address import KafkaAddress
from .....core.log.kafka.creation import Plan
from .....core.log.kafka.inspection import PartitionSeen, TopicSeen
from ..check import Check

MIN_IN_SYNC: Final = "min.insync.replicas"


def topic_checks(address: KafkaAddress, plan: Plan) -> Iterator[Check]:
    """Judge the log's topics, one check for each thing that is wrong."""
    if len(plan.missing) == len(plan.wanted):
        yield Check(
            "topics", "fail", f"no log there: none of {address.topic('')}*", f"hms log init --log {address.url}"
        )
        return
    yield from _topics(address, plan)
    yield from _settings(plan)
    yield from _copies(plan)


def _topics(address: KafkaAddress, plan: Plan) -> Iterator[Check]:
    strange = sorted(plan.cluster.topics.keys() - plan.wanted.keys())
    if plan.missing:
        seen = f"missing: {', '.join(plan.missing)}"
        yield Check(
            "topics", "fail", seen, f"if they were deleted, so is what they held; hms log init --log {address.url}"
        )
    elif strange:
        seen = f"not of HMS, with its prefix: {', '.join(strange)}"
        yield Check("topics", "warn", seen, "find who made them (a slip in a name, and auto.create.topics.enable?)")
    else:
        yield Check("topics", "ok", f"{len(plan.wanted)} of {address.topic('')}*")


def _settings(plan: Plan) -> Iterator[Check]:
    made_by_broker = {name for name in plan.wanted if name in plan.cluster.topics and not plan.cluster.topics[name].own}
    for one in plan.deviations:
        hint = " (all its settings are the broker's: was it created by itself?)" if one.topic in made_by_broker else ""
        yield Check("topic settings", "fail" if one.grave else "warn", f"{one}{hint}", one.repair)
    if not plan.deviations:
        yield Check("topic settings", "ok", f"{len(plan.wanted)} topics as they should be")


def _copies(plan: Plan) -> Iterator[Check]:
    """Look at where the copies are now: who leads, who lags, whether a commit finds enough of them."""
    counts = Counter(_state(topic, partition) for _, topic in _ours(plan) for partition in topic.partitions)
    whole = sum(counts.values())
    if counts["leaderless"]:
        seen = f"{counts['leaderless']} of {whole} partitions have no leader: nobody can read or write them"
        yield Check("replication", "fail", seen, "start the brokers that have them")
    if counts["unwritable"]:
        seen = f"{counts['unwritable']} of {whole} partitions have fewer copies in sync than {MIN_IN_SYNC} asks for"
        yield Check("replication", "fail", seen, "start the brokers that have them: commits to them fail until then")
    if counts["behind"]:
        seen = f"{counts['behind']} of {whole} partitions have copies that are not in sync"
        yield Check("replication", "warn", seen, "start the brokers that have them, or look at why they lag")
    if counts["whole"] == whole:
        copies = min(topic.replication for _, topic in _ours(plan))
        brokers = len(plan.cluster.brokers)
        yield Check("replication", "ok", f"at least {copies} of each partition, all in sync; brokers: {brokers}")


def _state(topic: TopicSeen, partition: PartitionSeen) -> str:
    if partition.leader < 0:
        return "leaderless"
    if len(partition.in_sync) < int(topic.settings.get(MIN_IN_SYNC, "1")):
        return "unwritable"
    return "whole" if set(partition.in_sync) >= set(partition.replicas) else "behind"


def _ours(plan: Plan) -> list[tuple[str, TopicSeen]]:
    return [(name, plan.cluster.topics[name]) for name in plan.wanted if name in plan.cluster.topics]
