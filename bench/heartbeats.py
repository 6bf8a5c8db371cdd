"""Ten thousand components that beat every five seconds, and one node that listens."""

import asyncio
import sqlite3
import time
from contextlib import closing

from figures import Figure, under
from fleet_log import app, components
from running import NodeProcess
from session import Measured, Session, file_of

from hms import connect
from hms.core.client import Client
from hms.core.log.port import Draft
from hms.schemas.component_reports import ComponentHeartbeat

TITLE = "Heartbeats"
COMPONENTS, PERIOD_S, HOST_SIZE, WARM_S, SECONDS = 10_000, 5.0, 200, 5.0, 30.0
WHAT = f"""
{COMPONENTS:,} components of the real behaviour are configured and running in a log, on hosts of {HOST_SIZE}. Each
host's heartbeats (`ComponentHeartbeat`, a message a component on the low lane) are appended durably as one batch
every {PERIOD_S:.0f} s, as an agent does, the hosts spread evenly over the period. One node handles them, in a process
of its own. After {WARM_S:.0f} s, for {SECONDS:.0f} s: the node's processor time, all threads, in percent of one core;
the furthest that it was ever behind what had been appended, in milliseconds of heartbeats; and the growth of the
database's pages, extrapolated to a day, before anything is trimmed.
"""
assert app


async def beating(url: str, count: int) -> Measured:
    """Send the heartbeats, and watch the node take them."""
    node = NodeProcess(url, "fleet_log:app")
    node.wait(0)
    sent, behind, marks = 0, 0, None
    period_s = PERIOD_S * HOST_SIZE / count
    async with connect(url, name="bench") as client:
        started, first = time.monotonic(), node.inputs
        for turn in range(int((WARM_S + SECONDS) / period_s)):
            due = started + turn * period_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if marks is None and due >= started + WARM_S:
                marks = (time.monotonic(), node.cpu_s(), _bytes(url), sent)
            behind = max(behind, sent - (node.inputs - first))
            await client.log.append(await _beats(client, turn % (count // HOST_SIZE)))
            sent += HOST_SIZE
        assert marks is not None
        seconds = time.monotonic() - marks[0]
        cpu, grown, beats = node.cpu_s() - marks[1], _bytes(url) - marks[2], sent - marks[3]
        await asyncio.to_thread(node.wait, first + sent)
    node.stop()
    return {
        "cpu": cpu / seconds * 100,
        "behind": behind / (count / PERIOD_S) * 1e3,
        "day": grown / seconds * 86_400,
        "a_beat": grown / beats,
        "rate": beats / seconds,
    }


async def _beats(client: Client, host: int) -> list[Draft]:
    """One host's batch."""
    client.source = f"agent/h{host}"
    first = host * HOST_SIZE
    return [
        await client._draft(
            f"component/c{number}",
            ComponentHeartbeat(incarnation=1, pid=number + 2, cpu_percent=1.5, rss_mb=42.0),
            client._new_id(),
            None,
            "low",
            None,
        )
        for number in range(first, first + HOST_SIZE)
    ]


def _bytes(url: str) -> int:
    with closing(sqlite3.connect(file_of(url))) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    return int(pages * size)


def run(session: Session) -> list[Figure]:
    count = max(HOST_SIZE, session.scaled(COMPONENTS))
    full = session.built("fleet.db", components, count=count)
    (results,) = session.repeat(lambda: session.measure(beating, url=session.copy(full), count=count))
    return [
        Figure(
            f"CPU of one node under {count:,} components, a heartbeat every 5 s",
            "% of one core",
            [one["cpu"] for one in results],
            under(60),
        ),
        Figure("does it hold: heartbeats handled", "a second", [one["rate"] for one in results]),
        Figure("does it hold: furthest behind", "ms", [one["behind"] for one in results], under(1_000)),
        Figure("bytes written a day", "GB", [one["day"] / 1e9 for one in results]),
        Figure("bytes of log a heartbeat", "bytes", [one["a_beat"] for one in results]),
    ]
