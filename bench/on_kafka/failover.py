"""A node is killed; another takes its shards over."""

import asyncio
import time
from collections.abc import Callable

from asking import Answer, ask_steadily
from confluent_kafka.admin import AdminClient
from counter import app, fill
from figures import Figure, under
from running import NodeProcess
from session import Measured, Session

from hms import connect
from hms.core.log import open_log
from hms.core.log.kafka import KafkaAddress
from hms.schemas import partition_of

from .server import Server, server_of

TITLE = "Fail-over on Kafka"
ACTORS, RATE, BEFORE_S, LOOK_EVERY_S, DEADLINE_S = 10_000, 200, 2.0, 0.02, 60.0
SESSION_S = 6
WHAT = f"""
Two nodes share 16 shards and {ACTORS:,} actors, each of which has handled a command. Another process asks
{RATE} times a second, actors in turn, in an open loop. One node is killed with SIGKILL. The eviction is the moment from which the
group's coordinator no longer lists it (asked every {LOOK_EVERY_S * 1e3:.0f} ms; session timeout {SESSION_S} s, the default).
From there to the first answer of one of its shards; to when all of them have answered; and the whole outage, from the kill to
the first and to the last of them. Every question, those asked during the outage included, is answered in the end.
"""
assert app


async def filled(url: str, actors: int) -> None:
    log = await open_log(url)
    await fill(log, actors, actors, answer=False)
    await log.close()


async def failing_over(url: str, actors: int) -> Measured:
    await filled(url, actors)
    killed, heir = (NodeProcess(url, "counter:app", name=name) for name in ("killed", "heir"))
    try:
        for node in (killed, heir):
            await asyncio.to_thread(node.wait_shards, 8)
        lost = set(killed.shards)
        async with connect(url, name="bench") as client, asyncio.TaskGroup() as group:
            over = asyncio.Event()
            asking = group.create_task(ask_steadily(client, RATE, actors, lambda _asked: over.is_set()))
            await asyncio.sleep(BEFORE_S)
            killed_at = time.monotonic()
            await asyncio.to_thread(killed.kill)
            evicted_at = await asyncio.to_thread(_evicted, KafkaAddress.parse(url), "killed")
            await asyncio.to_thread(heir.wait_shards, client.log.partitions)
            await asyncio.sleep(BEFORE_S)
            over.set()
        return _times(asking.result(), lambda one: partition_of(one.actor, 16) in lost, killed_at, evicted_at)
    finally:
        killed.kill()
        heir.stop()


def _evicted(address: KafkaAddress, node: str) -> float:
    """Wait until the group's coordinator lists the node no more; return when that was."""
    admin = AdminClient({"bootstrap.servers": ",".join(address.bootstrap), "log_level": 0})
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        looked = time.monotonic()
        group = admin.describe_consumer_groups([address.nodes_group])[address.nodes_group].result(DEADLINE_S)
        if node not in {member.client_id for member in group.members}:
            return looked
        time.sleep(LOOK_EVERY_S)
    raise TimeoutError(f"{node} is still in {address.nodes_group} after {DEADLINE_S:.0f} s")


def _times(answers: list[Answer], was_lost: Callable[[Answer], bool], killed_at: float, evicted_at: float) -> Measured:
    failed = [one.failed_by for one in answers if one.failed_by]
    assert not failed, f"{len(failed)} questions failed: {failed[0]}"
    after: dict[int, float] = {}
    for one in answers:
        if was_lost(one) and one.done > evicted_at:
            shard = partition_of(one.actor, 16)
            after[shard] = min(one.done, after.get(shard, one.done))
    first, last = min(after.values()), max(after.values())
    return {
        "evicted": evicted_at - killed_at,
        "first": first - evicted_at,
        "last": last - evicted_at,
        "first_outage": first - killed_at,
        "last_outage": last - killed_at,
    }


def _once(session: Session, server: Server) -> Measured:
    with server.log() as url:
        return session.measure(failing_over, url=url, actors=session.scaled(ACTORS))


def run(session: Session) -> list[Figure]:
    server = server_of(session)
    (results,) = session.repeat(lambda: _once(session, server))

    def values(name: str) -> list[float]:
        return [one[name] for one in results]

    return [
        Figure("from the eviction of a killed node to the first message handled", "s", values("first"), under(2)),
        Figure("from the eviction until all its shards have answered", "s", values("last")),
        Figure("from SIGKILL to the eviction", "s", values("evicted")),
        Figure("the whole outage, of the first shard", "s", values("first_outage")),
        Figure("the whole outage, of the last shard", "s", values("last_outage")),
    ]
