"""One actor folded again from its first event."""

import time
from uuid import UUID

import peer
import running
from counter import Total, app, fill
from figures import Figure, at_least
from session import Measured, Session

from hms.core.log import open_log
from hms.core.log.port import EVENTS
from hms.core.runtime import restore
from hms.core.runtime.history import LogHistory
from hms.core.runtime.installed import Behaviours
from hms.core.runtime.node import Node
from hms.core.runtime.shard_options import ShardOptions
from hms.schemas import partition_of

TITLE = "Replay of one actor"
EVENTS_COUNT = 200_000
ACTOR = "counter/0"
WHAT = f"""
One actor has {EVENTS_COUNT:,} events, each from a command of its own that a real node has handled. Its shard's
history is read from the log from the beginning, every commit record in it is checked for its place, and the events
are decoded and folded by the code with which a shard folds an actor again whose behaviour has changed
(`hms.core.runtime.restore`). The state must count all events. The peer: `repository.get` of an aggregate with as many
events, without cache and snapshots.
"""


async def one_actor(url: str, events: int) -> Measured:
    log = await open_log(url)
    await fill(log, events, 1, answer=False)
    async with Node(log, [app], name="bench") as node:
        await running.wait_inputs(node, events)
    await log.close()
    return {}


async def hms(url: str, events: int) -> Measured:
    running.relax()
    log = await open_log(url)
    shard = partition_of(ACTOR, log.partitions)
    end = (await log.watermarks(EVENTS, shard)).stable
    memory = restore.ShardMemory(shard, Behaviours([app]), ShardOptions())
    started = time.perf_counter()
    await restore._fold_again(memory, LogHistory(log), [ACTOR], end)
    took = time.perf_counter() - started
    cell = memory.actors.get(ACTOR)
    assert cell is not None
    assert isinstance(cell.state, Total)
    assert cell.state.count == events, f"expected {events} events, got {cell.state.count}"
    await log.close()
    return {"rate": events / took}


def one_aggregate(path: str, events: int) -> Measured:
    application = peer.application(path, cached=10)
    (id_,) = peer.counters(application, 1)
    counter: peer.Counter = application.repository.get(id_)
    for number in range(events):
        counter.add(1)
        if number % 1_000 == 0:
            application.save(counter)
    application.save(counter)
    application.close()
    return {"id": str(id_)}


def eventsourcing(path: str, id_: str, events: int) -> Measured:
    application = peer.application(path)
    started = time.perf_counter()
    counter: peer.Counter = application.repository.get(UUID(id_))
    took = time.perf_counter() - started
    assert counter.count == events
    application.close()
    return {"rate": events / took}


def run(session: Session) -> list[Figure]:
    events = session.scaled(EVENTS_COUNT)
    ours = session.built("one-actor.db", one_actor, events=events)
    theirs = session.path("one-aggregate.db")
    id_ = session.measure(one_aggregate, path=theirs, events=events)["id"]
    mine, other = session.repeat(
        lambda: session.measure(hms, url=ours, events=events),
        lambda: session.measure(eventsourcing, path=theirs, id_=id_, events=events),
    )
    rates, peers = [one["rate"] for one in mine], [one["rate"] for one in other]
    return [
        Figure("replay of one actor", "events/s", rates, at_least(150_000)),
        Figure(
            "the same, compared with `eventsourcing`",
            "times",
            [a / b for a, b in zip(rates, peers, strict=True)],
            at_least(3),
        ),
        Figure("`eventsourcing`", "events/s", peers),
    ]


def profile(session: Session) -> str:
    events = session.scaled(EVENTS_COUNT)
    return session.profile(hms, url=session.built("one-actor.db", one_actor, events=events), events=events)
