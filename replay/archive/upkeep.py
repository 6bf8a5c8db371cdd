"""What keeps an archive small and its log short: merging, deleting by policy, sweeping, trimming."""

from typing import NamedTuple

import structlog

from ..audit.beginning import signed_before
from ..audit.identity import SETTING
from .archiver import Archiver
from .compaction import compact
from .expiry import Sign, expire
from .manifests import ArchiveMoved
from .policy import Policy, read_policy
from .snapshot import keep_snapshot
from .sweeping import sweep
from .trimming import trim
from .trust import Trust
from .writer import ShardWriter

logger = structlog.get_logger("hms.archive")


class Kept(NamedTuple):
    """What one round did to a shard: files fewer by merging, files expired and swept, positions trimmed from the log."""

    shard: int
    merged: int
    expired: int
    swept: int
    trimmed: int
    doubt: str = ""
    """Why the log was not trimmed although the policy says so."""


class Upkeep:
    """One shard's, by its owner."""

    def __init__(
        self,
        archiver: Archiver,
        writer: ShardWriter,
        *,
        trust: Trust | None = None,
        policy: Policy | None = None,
        sign: Sign | None = None,
    ) -> None:
        self._archiver = archiver
        self._writer = writer
        self._trust = trust or archiver.trust
        self._policy = policy
        self._sign = sign

    async def run(self) -> Kept:
        """Do all of it; where somebody else changed the archive meanwhile, the next round does the rest."""
        try:
            return await self._run()
        except ArchiveMoved as error:
            logger.info("archive_moved", shard=self._writer.shard, error=str(error))
            return Kept(self._writer.shard, 0, 0, 0, 0)

    async def _signed_before(self) -> int | None:
        """Return below which position the shard's events are signed; None where nobody signs this log."""
        log = self._archiver.log
        name = await log.get_setting(SETTING)
        return None if name is None else await signed_before(await self._archiver.history(), self._writer.shard, name)

    async def _run(self) -> Kept:
        writer, log = self._writer, self._archiver.log
        policy = (self._policy or read_policy(self._archiver.folder)).checked()
        others = await self._archiver.files() if policy.disk_max else ()
        signed = await self._signed_before() if policy.deletes else None
        expired = await expire(writer, log, policy, others, self._sign, signed)
        await keep_snapshot(writer, log, policy.snapshot_every_us())
        merged = await compact(writer, policy.small_files)
        swept = await sweep(writer, policy.grace_us())
        trimmed = await trim(writer, log, policy, self._trust)
        if trimmed.doubt and policy.log_kept_us() is not None:
            logger.warning("log_not_trimmed", shard=writer.shard, reason=trimmed.doubt)
        return Kept(writer.shard, merged, expired, swept, trimmed.positions, trimmed.doubt)
