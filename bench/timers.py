"""Many timers that are due at once: how fast they fire, and that a SIGKILL loses none and fires none twice."""

import asyncio
import collections
import time
from typing import Any

from alarms import Arm, Rang, app
from figures import Figure, at_least, under
from running import NodeProcess
from session import Measured, Session

from hms import Address, connect
from hms.core.log import open_log
from hms.core.log.port import EVENTS
from hms.core.runtime.installed import Behaviours
from hms.core.runtime.records import TimerFired

TITLE = "Timers"
TIMERS, ACTORS, ARMING_S = 60_000, 1_000, 20
WHAT = f"""
{ACTORS:,} actors set {TIMERS:,} durable timers for one instant. Rate: the node that set them is running when they
become due; it counts from that instant to the append time of the last event that a timer made, as the log has it.
Each timer writes two events (`TimerFired` and the actor's own) and its place in a commit record. Loss: the node is
killed with SIGKILL once all are set, before they are due; a second node starts when they are overdue and is killed
with SIGKILL in the middle of firing; a third ends the work. Then every timer must have fired exactly once, and every
actor have noted each exactly once.
"""
assert app


async def arming(url: str, count: int, due_us: int) -> Measured:
    async with connect(url, name="bench") as client:
        for number in range(ACTORS):
            to: Address[Arm] = Address(f"alarm/{number}")
            await client.tell(to, Arm(count=count // ACTORS, due_us=due_us))
    return {}


async def counting(url: str) -> Measured:
    """Count what fired, and take the last append time of an actor's own event."""
    contract = Behaviours([app]).contract
    fired: collections.Counter[tuple[bytes, str, int]] = collections.Counter()
    rang: collections.Counter[tuple[bytes, int]] = collections.Counter()
    last_us = 0
    log = await open_log(url)
    for shard in range(log.partitions):
        position, read = -1, await log.read(EVENTS, shard, 0, records_max=5_000)
        while read.position != position:
            for stored in read.records:
                record_type = contract.by_id(int.from_bytes((stored.value or b"")[1:5], "big"))
                if record_type is not None and record_type.cls in (TimerFired, Rang):
                    record: Any = contract.decode(stored.value or b"").record
                    last_us = max(last_us, stored.at_us)
                    if isinstance(record, TimerFired):
                        fired[stored.key, record.name, record.generation] += 1
                    else:
                        rang[stored.key, record.number] += 1
            position = read.position
            read = await log.read(EVENTS, shard, position, records_max=5_000)
    await log.close()
    twice = sum(count - 1 for counts in (fired, rang) for count in counts.values())
    return {"fired": len(fired), "rang": len(rang), "twice": twice, "last_us": last_us}


def firing(url: str, count: int) -> Measured:
    """One node sets them and fires them."""
    session = _Here(url, count)
    node = NodeProcess(url, "alarms:app")
    session.arm(node)
    node.wait(ACTORS + count)
    node.stop()
    result = session.count()
    assert result["fired"] == result["rang"] == count, result
    return {"rate": count / ((result["last_us"] - session.due_us) / 1e6)}


def killing(url: str, count: int) -> Measured:
    """Three nodes; two of them are killed."""
    session = _Here(url, count)
    node = NodeProcess(url, "alarms:app")
    session.arm(node)
    node.kill()
    time.sleep(max(0, session.due_us / 1e6 - time.time()))
    node = NodeProcess(url, "alarms:app")
    node.wait(count // 3)
    before = node.inputs
    node.kill()
    between = session.count()["fired"]
    node = NodeProcess(url, "alarms:app")
    node.wait(count - between)
    node.stop()
    assert before <= between < count, f"the kill did not come in the middle: {before}, {between} of {count}"
    result = session.count()
    return {"lost": 2 * count - result["fired"] - result["rang"], "twice": result["twice"], "between": between}


class _Here:
    """The log of one run and its timers."""

    def __init__(self, url: str, count: int) -> None:
        self._url = url
        self._count = count
        self.due_us = int(time.time() * 1e6) + ARMING_S * 1_000_000 * max(1_000, count) // TIMERS

    def arm(self, node: NodeProcess) -> None:
        asyncio.run(arming(self._url, self._count, self.due_us))
        node.wait(ACTORS)
        assert time.time() * 1e6 < self.due_us, "the timers were due before all were set: set ARMING_S higher"

    def count(self) -> Measured:
        return asyncio.run(counting(self._url))


def run(session: Session) -> list[Figure]:
    count = session.scaled(TIMERS)
    rates, losses = session.repeat(
        lambda: session.measure(firing, url=session.fresh("timers.db"), count=count),
        lambda: session.measure(killing, url=session.fresh("timers.db"), count=count),
    )
    return [
        Figure("timers due at once", "fired/s", [one["rate"] for one in rates], at_least(15_000)),
        Figure("timers lost over two SIGKILLs", f"of {count:,}", [one["lost"] for one in losses], under(1)),
        Figure("timers fired twice", f"of {count:,}", [one["twice"] for one in losses], under(1)),
        Figure("timers fired before the second SIGKILL", "", [one["between"] for one in losses]),
    ]
