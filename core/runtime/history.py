"""The port to cold history: an actor's events from before the log's low-water mark, wherever they are kept.

The log itself is the default; when an archive lets the log be trimmed, the readers' layer brings one that reads both.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from ..errors import LogUnreachable
from ..log.port import EVENTS, Log, Stored

READ_RECORDS = 4_000
HIDDEN_S_MAX = 30
"""A node that dies in a transaction hides it for its timeout and one interval of the broker's sweep: 20."""


class History(Protocol):
    """A shard's events from the beginning."""

    def events(self, shard: int, before: int) -> AsyncIterator[list[Stored]]:
        """Yield the records of `hms.events` of a shard below an offset, in order, in lists."""
        ...


class LogHistory:
    """History as far as the log still holds it; raises `PositionTrimmed` where it does not."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def events(self, shard: int, before: int) -> AsyncIterator[list[Stored]]:
        """Yield what the log holds."""
        async for records in records_between(self._log, EVENTS, shard, 0, before):
            yield records


async def records_between(
    log: Log, topic: str, partition: int, start: int, end: int, *, headers: bool = False
) -> AsyncIterator[list[Stored]]:
    """Yield every committed record from `start` to below `end`, in order, in lists; half of it would be a wrong state.

    What an open transaction hides is waited for; raises `LogUnreachable` when that takes over 30 seconds.
    """
    position, is_end = start, False
    loop = asyncio.get_running_loop()
    moved_at = loop.time()
    while position < end:
        read = await log.read(topic, partition, position, records_max=READ_RECORDS, headers=headers)
        records = read.records
        yield records if not records or records[-1].offset < end else [one for one in records if one.offset < end]
        if read.position != position:
            is_end, moved_at = False, loop.time()
        elif is_end:  # a read that was made after everything had become stable, and found nothing
            return
        elif (await log.watermarks(topic, partition)).stable >= end:
            is_end = True  # what hid the rest may have gone between that read and now: read once more
        else:
            if loop.time() - moved_at > HIDDEN_S_MAX:
                raise LogUnreachable(
                    f"{topic}/{partition}: expected to read from {position} to {end}, but somebody's open transaction "
                    f"hides it for over {HIDDEN_S_MAX} s; it ends by the broker's transaction timeout"
                )
            await log.wait({(topic, partition): position}, 1_000)
        position = read.position
