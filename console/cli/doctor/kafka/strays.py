"""Messages in partitions where their actors do not live: librdkafka's producers place keys by CRC32, unless told."""

import asyncio
from typing import Final

from .....core.log.port import LANES, Log
from .....schemas import partition_of
from ..check import Check

LOOKED_AT: Final = 200
"""So many of the newest offsets of each lane and shard."""


async def stray_check(log: Log) -> Check:
    """Compare where the newest messages are with where their keys belong. What is no address is not a stray but malformed."""
    places = [(lane, shard) for lane in LANES for shard in range(log.partitions)]
    found = await asyncio.gather(*(_strays(log, *place) for place in places))
    strays = [key for keys, _ in found for key in keys]
    seen = sum(count for _, count in found)
    if not strays:
        return Check("strays", "ok", f"none of the newest {seen} messages")
    examples = ", ".join(dict.fromkeys(strays[:3]))
    todo = "set partitioner=murmur2_random at whoever produces these (librdkafka: confluent-kafka, kcat, Go, .NET)"
    return Check("strays", "warn", f"{len(strays)} of the newest {seen} messages, for {examples}", todo)


async def _strays(log: Log, lane: str, shard: int) -> tuple[list[str], int]:
    marks = await log.watermarks(lane, shard)
    position = max(marks.start, marks.stable - LOOKED_AT)
    read = await log.read(lane, shard, position, records_max=LOOKED_AT, headers=False)
    keys = [key for record in read.records if (key := _address(record.key))]
    return [key for key in keys if partition_of(key, log.partitions) != shard], len(keys)


def _address(key: bytes) -> str:
    text = key.decode(errors="replace")
    return text if "/" in text and "\ufffd" not in text else ""
