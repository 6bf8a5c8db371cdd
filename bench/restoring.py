"""A node that starts on a log with many actors and a long tail."""

import time

import running
from counter import Total, app, fill
from figures import Figure, under
from session import Measured, Session

from hms.core.log import open_log
from hms.core.runtime.housekeeping import Housekeeping
from hms.core.runtime.node import Node
from hms.core.runtime.shard_options import ShardOptions

TITLE = "Restore"
ACTORS, TAIL = 100_000, 1_000_000
WHAT = f"""
A real node has handled a command for each of {ACTORS:,} actors and written all their checkpoints; then {TAIL:,} more
commands (one event each), without writing a checkpoint (its housekeeping is held for this), so that the tail holds
{TAIL:,} events with their commit records. On a copy of that log a new node starts; the clock runs from opening the
log until it owns all 16 shards: fenced, restored, chain of commits checked, first commit of the new epoch written.
Then the events of all actors are counted. The log's pages are in the operating system's cache: the copy has just been
written.
"""


def _shards(node: Node) -> list[running.Memory]:
    return [shard._memory for shard in node._shards.values()]


async def tailed(url: str, actors: int, tail: int) -> Measured:
    running.relax()
    log = await open_log(url)
    await fill(log, actors, actors, answer=False)
    async with Node(log, [app], name="bench") as node:
        await running.wait_inputs(node, actors)
        await running.wait_clean(node)
    await fill(log, tail, actors, answer=False)
    async with Node(log, [app], name="bench", options=_without_checkpoints()) as node:
        await running.wait_inputs(node, tail)
    await log.close()
    return {}


def _without_checkpoints() -> ShardOptions:
    """Hold the housekeeping of all nodes of this process; return options that let a tail grow."""
    Housekeeping.is_due = lambda _self: False  # type: ignore[method-assign, assignment]
    return ShardOptions(tail_events_max=1 << 40)


async def hms(url: str, actors: int, tail: int, *, again: bool = False) -> Measured:
    """Restore; a log on which it is to be done `again` keeps its tail."""
    running.relax()
    options = _without_checkpoints() if again else None
    started = time.perf_counter()
    log = await open_log(url)
    async with Node(log, [app], name="bench", options=options) as node:
        await node.wait_owning(log.partitions)
        took = time.perf_counter() - started
        assert sum(len(memory.actors) for memory in _shards(node)) == actors
        assert sum(_events(memory) for memory in _shards(node)) == actors + tail
        rss = running.rss_bytes()
    await log.close()
    return {"took": took, "rss": rss}


def _events(memory: running.Memory) -> int:
    count = 0
    for address in memory.actors.addresses():
        cell = memory.actors.get(address)
        assert cell is not None
        assert isinstance(cell.state, Total)
        count += cell.state.count
    return count


def sizes(session: Session) -> dict[str, int]:
    return {"actors": session.scaled(ACTORS), "tail": session.scaled(TAIL)}


def _built(session: Session) -> dict[str, int | str]:
    return sizes(session) | {"url": session.copy(session.built("tailed.db", tailed, **sizes(session)))}


def run(session: Session) -> list[Figure]:
    (results,) = session.repeat(lambda: session.measure(hms, **_built(session)))
    return figures(session, results, bar_s=15)


def figures(session: Session, results: list[Measured], *, bar_s: float) -> list[Figure]:
    """The rows; the bar is the log's, and holds for the whole work."""
    bar = under(bar_s) if session.scale == 1 else None
    return [
        Figure(
            "restore of 100,000 actors, 1 million events since the checkpoint",
            "s",
            [one["took"] for one in results],
            bar,
        ),
        Figure("memory of the node then", "MB", [one["rss"] / 1e6 for one in results]),
    ]


def profile(session: Session) -> str:
    return session.profile(hms, **_built(session))
