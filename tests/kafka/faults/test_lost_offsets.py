"""All nodes are away for longer than Kafka keeps the offsets of groups: what the shards consumed is in their own records."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import AdminClient

from ..broker import Broker
from .intensity import LONG, SEED
from .trial import Trial, trial

EXPIRY = {"offsets.retention.minutes": "1", "offsets.retention.check.interval.ms": "1000"}


@pytest.fixture
def forgetful(request: pytest.FixtureRequest) -> str:
    """Give a cluster that forgets within a minute; in the short version any, whose offsets the test deletes."""
    if not LONG:
        return str(request.getfixturevalue("kafka").bootstrap)
    make_broker: Callable[..., Broker] = request.getfixturevalue("make_broker")
    return make_broker(EXPIRY).bootstrap


@pytest.mark.timeout(500)
def test_nodes_that_were_away_for_longer_than_offsets_are_kept_begin_where_they_ended(
    forgetful: str, tmp_path: Path, saw: Callable[[str], None]
) -> None:
    admin = AdminClient({"bootstrap.servers": forgetful, "log_level": 0})
    away: list[float] = []

    async def forgetting(run: Trial) -> None:
        group = f"{run.prefix}-shards"
        await run.load.wait_answered(200)
        await run.until(lambda: kept(admin, group), 30, lambda: "offsets that tools can see")
        names = tuple(run.nodes.running)
        began = time.monotonic()
        await asyncio.to_thread(run.nodes.drain)
        if not LONG:  # does at once what the broker does after a minute
            for name in (group, f"{run.prefix}-nodes"):
                await delete_group(admin, name)
        await run.until(lambda: not kept(admin, group), 120, lambda: f"kept: {kept(admin, group)}")
        run.nodes.start(*names)
        await run.shared()
        away.append(time.monotonic() - began)
        await run.load.wait_answered(200)

    seen = asyncio.run(trial(tmp_path, forgetful, SEED, forgetting, pause_s=0.05))
    saw(f"offsets {'expired' if LONG else 'deleted'}, nodes away for {away[0]:.1f} s; {seen}")


async def delete_group(admin: AdminClient, name: str) -> None:
    """Delete a group once it is empty: a node whose goodbye was not heard is a member until its session ends."""
    async with asyncio.timeout(60):
        while True:
            try:
                await asyncio.to_thread(admin.delete_consumer_groups([name])[name].result, 20)
            except KafkaException:
                await asyncio.sleep(0.2)
            else:
                return


def kept(admin: AdminClient, group: str) -> dict[str, int]:
    """Return the committed offsets of a group."""
    asked = [ConsumerGroupTopicPartitions(group)]
    try:
        found = admin.list_consumer_group_offsets(asked)[group].result(30)
    except KafkaException:  # there is no such group
        return {}
    return {f"{one.topic}/{one.partition}": one.offset for one in found.topic_partitions if one.offset >= 0}
