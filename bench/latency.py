"""Asking at a steady rate, from another process."""

import asyncio
import time

from counter import Add, app
from figures import Figure, percentile, under
from running import NodeProcess
from session import Measured, Session

from hms import Address, connect
from hms.core.client import Client

TITLE = "Latency"
RATE, SECONDS, WARM_S, ACTORS = 1_000, 20, 2, 1_000
WHAT = f"""
A node runs in a process of its own. Another process asks {RATE:,} times a second for {SECONDS} seconds ({WARM_S}
before that do not count), {ACTORS:,} actors in turn, in an open loop: each question has an instant at which it is
meant to be asked, however late the ones before are answered, and its latency counts from that instant to the answer,
so a stall is paid by every question that falls into it (no coordinated omission). Each question is a durable append,
a decision, a durable commit, and the answer read from the log: two fsyncs.
"""
assert app


async def _ask(client: Client, key: int, due: float, late_ms: list[float]) -> None:
    to: Address[Add] = Address(f"counter/{key}")
    await client.ask(to, Add(amount=1))
    late_ms.append((time.monotonic() - due) * 1e3)


async def asking(path: str, seconds: float, rate: int) -> Measured:
    warm: list[float] = []
    late_ms: list[float] = []
    async with connect(f"sqlite:{path}", name="bench") as client, asyncio.TaskGroup() as group:
        started = time.monotonic() + 0.1
        for number in range(int((WARM_S + seconds) * rate)):
            due = started + number / rate
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            into = late_ms if number >= WARM_S * rate else warm
            group.create_task(_ask(client, number % ACTORS, due, into))
    assert len(late_ms) == int(seconds * rate)
    return {"p50": percentile(late_ms, 50), "p99": percentile(late_ms, 99), "max": max(late_ms)}


def _once(session: Session) -> Measured:
    path = session.path("latency.db")
    node = NodeProcess(path, "counter:app")
    try:
        node.wait(0)
        before = node.cpu_s()
        result = session.measure(asking, path=path, seconds=max(2, SECONDS * session.scale), rate=RATE)
        return result | {"cpu": (node.cpu_s() - before) / (WARM_S + max(2, SECONDS * session.scale)) * 100}
    finally:
        node.stop()


def run(session: Session) -> list[Figure]:
    (results,) = session.repeat(lambda: _once(session))
    return [
        Figure(f"`ask` at {RATE:,}/s from another process, p50", "ms", [one["p50"] for one in results], under(5)),
        Figure("the same, p99", "ms", [one["p99"] for one in results], under(15)),
        Figure("the same, the slowest", "ms", [one["max"] for one in results]),
        Figure("CPU of the node meanwhile", "% of one core", [one["cpu"] for one in results]),
    ]
