"""What a node costs that has nothing to do."""

import asyncio
import time

import psutil
from counter import Add, app
from figures import Figure, under
from running import relax
from session import Measured, Session

from hms import Address, connect
from hms.core.log import open_log
from hms.core.runtime.node import Node
from hms.schemas import partition_of

from .node_process import HmsNode
from .server import Server, server_of

TITLE = "Idle node on Kafka"
SETTLE_S, SECONDS, SHARDS = 4.0, 10.0, 16
WHAT = f"""
`hms node` with {SHARDS} shards, each of which has answered a question and nothing since. {SETTLE_S:.0f} s later, for
{SECONDS:.0f} s: the processor time of its process, all threads, in percent of one core; then its resident memory.
"""


async def questions(url: str) -> Measured:
    """Ask one actor of each shard."""
    actors = {partition_of(f"counter/{number}", SHARDS): f"counter/{number}" for number in range(1_000)}
    async with connect(url, name="bench") as client:
        for actor in actors.values():
            to: Address[Add] = Address(actor)
            await client.ask(to, Add(amount=1))
    return {"asked": len(actors)}


def _once(session: Session, server: Server) -> Measured:
    with server.log() as url, HmsNode(url, "idle") as node:
        assert session.measure(questions, url=url)["asked"] == SHARDS
        time.sleep(SETTLE_S)
        process = psutil.Process(node.pid)
        before, started = process.cpu_times(), time.monotonic()
        time.sleep(SECONDS)
        after = process.cpu_times()
        used = after.user + after.system - before.user - before.system
        rss = process.memory_info().rss
        return {"cpu": used / (time.monotonic() - started) * 100, "rss": rss}


def run(session: Session) -> list[Figure]:
    server = server_of(session)
    (results,) = session.repeat(lambda: _once(session, server))
    return [
        Figure(f"CPU of an idle node with {SHARDS} shards", "% of one core", [one["cpu"] for one in results], under(3)),
        Figure("its memory", "MB", [one["rss"] / 1e6 for one in results], under(200)),
    ]


async def idling(url: str) -> Measured:
    """The same inside this process, for the profile: mostly its start, so it idles for longer."""
    relax()
    log = await open_log(url)
    async with Node(log, [app], name="bench") as node:
        await node.wait_owning(log.partitions)
        await asyncio.sleep(6 * SECONDS)
    await log.close()
    return {}


def profile(session: Session) -> str:
    with server_of(session).log() as url:
        return session.profile(idling, url=url)
