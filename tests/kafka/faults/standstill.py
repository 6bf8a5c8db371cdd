"""What a trial that does not settle is waiting for: said instead of a bare time-out, which nobody could learn from."""

from typing import Any

from hms.core.log.kafka import KafkaLog
from hms.core.log.port import EVENTS, LANES, OUTBOX
from hms.core.runtime.history import LogHistory
from hms.core.runtime.restore import restore
from hms.core.runtime.shard_options import ShardOptions
from hms.core.testing.simulation.cast import behaviours

from .workload import Workload


async def standstill(log: KafkaLog, load: Workload) -> str:
    """Return who waits for what, and where each shard's places stand."""
    lines = [
        f"{wish.source} waits for {wish.id} ({wish.priority}{', an answer' if wish.asks else ''}) of {wish.to}, tries: {wish.tries}"
        for wish in load.operations
        if not wish.acknowledged
    ]
    for shard in range(log.partitions):
        memory = await restore(log, shard, behaviours(), ShardOptions(), LogHistory(log))
        consumed: dict[str, Any] = dict(zip(LANES, memory.head.positions, strict=True))
        for topic in (*LANES, OUTBOX, EVENTS):
            marks = await log.watermarks(topic, shard)
            read = await log.read(topic, shard, max(marks.start, marks.stable - 1))
            lines.append(
                f"{topic}/{shard}: consumed to {consumed.get(topic, '-')}, {marks}, last read to {read.position}"
            )
    return "\n".join(lines)
