"""Three nodes are restarted one after the other, under load."""

import asyncio
import time

from asking import ask_steadily
from counter import app
from figures import Figure, percentile, under
from session import Measured, Session

from hms import connect
from hms.core.log.port import Log

from .node_process import HmsNode
from .server import Server, server_of

TITLE = "Rolling restart on Kafka"
RATE, ACTORS, NODES, BETWEEN_S, SHARE_S = 1_000, 1_000, 3, 2.0, 60.0
WHAT = f"""
{NODES} `hms node` processes share 16 shards. Another process asks {RATE:,} times a second, {ACTORS:,} actors in turn, in an
open loop (a question's latency counts from the instant at which it is meant to be asked). One node after the other is told
to end (TERM: it drains), started again under its name, and given time until the shards are shared out among all three, and
{BETWEEN_S:.0f} s more. A failed question is one that raised an error: `AskTimedOut` after 30 s, or any other.
"""
assert app


async def rolling(url: str) -> Measured:
    nodes = {name: HmsNode(url, name) for name in (f"node-{number}" for number in range(NODES))}
    try:
        async with connect(url, name="bench") as client, asyncio.TaskGroup() as group:
            await _shared_out(client.log)
            over = asyncio.Event()
            asking = group.create_task(ask_steadily(client, RATE, ACTORS, lambda _asked: over.is_set()))
            await asyncio.sleep(BETWEEN_S)
            started = time.monotonic()
            for name, node in list(nodes.items()):
                await asyncio.to_thread(node.drain)
                nodes[name] = HmsNode(url, name)
                await _shared_out(client.log)
                await asyncio.sleep(BETWEEN_S)
            took = time.monotonic() - started
            over.set()
        answers = asking.result()
    finally:
        for node in nodes.values():
            await asyncio.to_thread(node.drain)
    late_ms = [one.late_ms for one in answers]
    failed = [one.failed_by for one in answers if one.failed_by]
    return {
        "failed": len(failed),
        "why": failed[0] if failed else "",
        "asked": len(answers),
        "p50": percentile(late_ms, 50) / 1e3,
        "p99": percentile(late_ms, 99) / 1e3,
        "max": max(late_ms) / 1e3,
        "took": took,
    }


async def _shared_out(log: Log) -> None:
    """Wait until all nodes live and have the shards among them, evenly."""
    deadline = time.monotonic() + SHARE_S
    while time.monotonic() < deadline:
        counts = [len(one.shards) for one in await log.nodes() if one.alive]
        if len(counts) == NODES and sum(counts) == log.partitions and max(counts) - min(counts) <= 1:
            return
        await asyncio.sleep(0.1)
    raise TimeoutError(f"the shards were not shared out within {SHARE_S:.0f} s: {await log.nodes()}")


def _once(session: Session, server: Server) -> Measured:
    with server.log() as url:
        result = session.measure(rolling, url=url)
    if result["why"]:
        print(f"{result['failed']} questions failed, as this one: {result['why']}", flush=True)
    return result


def run(session: Session) -> list[Figure]:
    server = server_of(session)
    (results,) = session.repeat(lambda: _once(session, server))

    def values(name: str) -> list[float]:
        return [one[name] for one in results]

    return [
        Figure(f"failed questions of {values('asked')[0]:,}, three nodes restarted", "", values("failed"), under(1)),
        Figure(f"`ask` at {RATE:,}/s meanwhile, p99", "s", values("p99"), under(2)),
        Figure("the same, p50", "s", values("p50")),
        Figure("the same, the slowest", "s", values("max")),
        Figure("all three restarted within", "s", values("took")),
    ]
