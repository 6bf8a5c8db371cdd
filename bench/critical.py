"""A critical message behind a long backlog of low ones."""

import asyncio
import time

from counter import Add, app, backlog
from figures import Figure, percentile, under
from running import NodeProcess
from session import Measured, Session

from hms import Address, connect

TITLE = "Critical messages"
BACKLOG, ACTORS, PROBE_EVERY_S = 100_000, 1_000, 0.1
WHAT = f"""
A log holds {BACKLOG:,} commands on the low lane, to {ACTORS:,} actors of all shards. A node starts in a process of
its own; once it works them off, another process asks one critical question every {PROBE_EVERY_S * 1e3:.0f} ms, each
to another shard, and takes the time to the answer. Only questions that were answered before the backlog's end count.
A run gives the median and the worst of its probes.
"""
assert app


async def probing(url: str, backlog: int) -> Measured:
    node = NodeProcess(url, "counter:app")
    took_ms: list[float] = []
    async with connect(url, name="probe") as client:
        await asyncio.to_thread(node.wait, 1)
        for number in range(10_000):
            started = time.perf_counter()
            to: Address[Add] = Address(f"counter/probe-{number}")
            await client.ask(to, Add(amount=1), priority="critical")
            took = time.perf_counter() - started
            if node.inputs >= backlog:
                break
            took_ms.append(took * 1e3)
            await asyncio.sleep(max(0.0, PROBE_EVERY_S - took))
    node.stop()
    return {"median": percentile(took_ms, 50), "worst": max(took_ms), "probes": len(took_ms)}


def run(session: Session) -> list[Figure]:
    size = session.scaled(BACKLOG)
    full = session.built("low.db", backlog, commands=size, actors=ACTORS, priority="low", answer=False)
    (results,) = session.repeat(lambda: session.measure(probing, url=session.copy(full), backlog=size))
    return [
        Figure(
            "critical message behind 100,000 low ones, median", "ms", [one["median"] for one in results], under(100)
        ),
        Figure("the same, the worst of a run", "ms", [one["worst"] for one in results], under(100)),
        Figure("probes a run", "", [one["probes"] for one in results]),
    ]
