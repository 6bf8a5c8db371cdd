"""Archiving as a node's duty: each shard's by its owner, under its epoch."""

import asyncio
from typing import Final

from ...core.log.port import Log
from .archiver import Archiver
from .disk import Disk
from .expiry import Sign
from .upkeep import Upkeep

INTERVAL_S: Final = 30.0
"""So far an archive lags behind when all is well."""
SAY_EVERY: Final = 2
"""An idle shard says once in so many rounds that all of it is archived: a restore ends where the last shard said so."""
BATCH_RECORDS: Final = 20_000
"""Decoded in one go: the thread that does it holds up the shards of this process meanwhile, for some milliseconds."""
UPKEEP_EVERY: Final = 20
"""Compaction, expiry and trimming are looked at once in so many rounds."""


class ArchiveDuty:
    """Follows a node's shards into an archive; see `hms.core.runtime.duty`."""

    name = "archive"

    def __init__(
        self,
        url: str,
        log: Log,
        owner: str,
        *,
        sign: Sign | None = None,
        interval_s: float = INTERVAL_S,
        upkeep_every: int = UPKEEP_EVERY,
    ) -> None:
        self._url = url
        self._log = log
        self._owner = owner
        self._sign = sign
        self._interval_s = interval_s
        self._upkeep_every = upkeep_every
        self._disk = Disk()
        self._opened: Archiver | None = None
        self._opening = asyncio.Lock()
        self._upkeeping = asyncio.Lock()
        """One shard's at a time: a compaction takes a core and memory."""

    async def follow(self, shard: int, epoch: int) -> None:
        """Archive a shard for as long as it is this node's."""
        archiver = await self._archiver()
        writer = archiver.writer(shard, epoch, BATCH_RECORDS)
        await asyncio.sleep(self._interval_s * shard / archiver.identity.partitions)
        rounds = 0
        while True:
            await archiver.catch_up(writer, even_if_empty=rounds % SAY_EVERY == 0)
            if rounds % self._upkeep_every == self._upkeep_every - 1:
                async with self._upkeeping:
                    await Upkeep(archiver, writer, sign=self._sign).run()
            rounds += 1
            await asyncio.sleep(self._interval_s)

    async def _archiver(self) -> Archiver:
        async with self._opening:
            if self._opened is None:
                self._opened = await Archiver.open(self._url, self._log, owner=self._owner, disk=self._disk)
        return self._opened
