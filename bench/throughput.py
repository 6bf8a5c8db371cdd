"""A backlog of durable commands, worked off by one node; the peer does the same work."""

import time

import peer
import running
from counter import app, backlog
from figures import Figure, at_least
from session import Measured, Session

from hms.core.log import open_log
from hms.core.log.port import EVENTS, OUTBOX
from hms.core.runtime.node import Node

TITLE = "Throughput"
COMMANDS, ACTORS, PEER_COMMANDS, BATCH = 100_000, 1_000, 20_000, 100
WHAT = f"""
A log holds {COMMANDS:,} commands from outside, each of which wants an answer, to {ACTORS:,} actors in turn. The clock
runs from `Node.start` (default options, 16 shards, the garbage collector tuned as `hms node` does) until the last
command is committed; then the log must hold exactly one event and one answer a command. Each command is read,
decoded, checked, deduplicated, decided, evolved, and its event, answer and commit record are written and fsynced (one
fsync for all shards that wait). The peer handles {PEER_COMMANDS:,} commands on {ACTORS:,} aggregates of the same
shape: get the aggregate from the repository (all are in its aggregate cache, no fast-forward, no deep copy), trigger
the event, `save`; it keeps no inbox, answers, deduplication, schemas or checkpoints. A second row lets it save
{BATCH} commands at a time, as an application that batches by hand would: then one crash undoes commands that were
answered in between, so no bar is set on it.
"""


async def hms(url: str, commands: int) -> Measured:
    running.relax()
    log = await open_log(url)
    started, cpu = time.perf_counter(), time.thread_time()
    async with Node(log, [app], name="bench") as node:
        await running.wait_inputs(node, commands)
        took, cpu = time.perf_counter() - started, time.thread_time() - cpu
        commits = sum(shard.commit_count for shard in node.statistics().shards)
    answers = sum([(await log.watermarks(OUTBOX, shard)).stable for shard in range(log.partitions)])
    if not log.capabilities.markers:  # they take offsets, too
        assert answers == commands, f"expected {commands} answers, got {answers}"
    events = [await log.watermarks(EVENTS, shard) for shard in range(log.partitions)]
    assert sum(marks.stable for marks in events) >= commands + commits
    await log.close()
    return {"rate": commands / took, "cpu_us": cpu / commands * 1e6, "commits": commits}


def eventsourcing(path: str, commands: int, actors: int, batch: int) -> Measured:
    application = peer.application(path, cached=2 * actors)
    ids = peer.counters(application, actors)
    for id_ in ids:
        application.repository.get(id_)
    started = time.perf_counter()
    for start in range(0, commands, batch):
        touched = []
        for number in range(start, min(start + batch, commands)):
            counter: peer.Counter = application.repository.get(ids[number % actors])
            counter.add(1)
            touched.append(counter)
        application.save(*touched)
    took = time.perf_counter() - started
    application.close()
    return {"rate": commands / took}


def run(session: Session) -> list[Figure]:
    commands, few = session.scaled(COMMANDS), session.scaled(PEER_COMMANDS)
    full = session.built("backlog.db", backlog, commands=commands, actors=ACTORS)

    def theirs(batch: int) -> Measured:
        return session.measure(eventsourcing, path=session.path("peer.db"), commands=few, actors=ACTORS, batch=batch)

    ours, single, batched = session.repeat(
        lambda: session.measure(hms, url=session.copy(full), commands=commands),
        lambda: theirs(1),
        lambda: theirs(BATCH),
    )
    rates = [result["rate"] for result in ours]
    peers = [result["rate"] for result in single]
    ratios = [mine / other for mine, other in zip(rates, peers, strict=True)]
    return [
        Figure("backlog to events and answers, one node", "commands/s", rates, at_least(15_000)),
        Figure("the same, compared with `eventsourcing`", "times", ratios, at_least(5)),
        Figure("`eventsourcing`, a save a command", "commands/s", peers),
        Figure(f"`eventsourcing`, a save every {BATCH} commands", "commands/s", [result["rate"] for result in batched]),
        Figure("CPU of the node's event loop", "us a command", [result["cpu_us"] for result in ours]),
    ]


def profile(session: Session) -> str:
    full = session.built("backlog.db", backlog, commands=session.scaled(COMMANDS), actors=ACTORS)
    return session.profile(hms, url=session.copy(full), commands=session.scaled(COMMANDS))
