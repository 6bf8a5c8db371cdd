"""What an idle actor costs in memory."""

import running
from figures import Figure, under
from fleet_log import app, components
from session import Measured, Session

from hms.core.log import open_log
from hms.core.runtime.node import Node

TITLE = "Memory"
ACTORS = 100_000
WHAT = f"""
A log holds {ACTORS:,} components of the real behaviour, configured, running and ready, with their checkpoints. A node
starts on it; its resident memory after a full garbage collection, less that of a node on an empty log, divided by the
number of actors, is what an idle (passivated) actor costs, everything else that the shards keep for them included.
Then every actor is activated, and the same is taken again.
"""


async def resident(url: str) -> Measured:
    running.relax()
    log = await open_log(url)
    async with Node(log, [app], name="bench") as node:
        await node.wait_owning(log.partitions)
        memories = [shard._memory for shard in node._shards.values()]
        actors = sum(len(memory.actors) for memory in memories)
        idle = running.rss_bytes()
        for memory in memories:
            for address in memory.actors.addresses():
                memory.actors.get(address)
        live = running.rss_bytes()
    await log.close()
    return {"actors": actors, "idle": idle, "live": live}


def run(session: Session) -> list[Figure]:
    full = session.built("components.db", components, count=session.scaled(ACTORS))
    none, some = session.repeat(
        lambda: session.measure(resident, url=session.fresh("empty.db")),
        lambda: session.measure(resident, url=session.copy(full)),
    )
    pairs = list(zip(none, some, strict=True))
    return [
        Figure(
            "memory of an idle actor", "bytes", [(b["idle"] - a["idle"]) / b["actors"] for a, b in pairs], under(4_096)
        ),
        Figure("memory of a live actor", "bytes", [(b["live"] - a["live"]) / b["actors"] for a, b in pairs]),
        Figure("memory of a node without actors", "MB", [one["idle"] / 1e6 for one in none]),
    ]
