"""Which archive a log has: one, for good, remembered in both.

So a mount that is gone, a copy of another log's archive, or a log that was made again is noticed before anything is
written or deleted.
"""

import asyncio
from pathlib import Path

from pydantic import ValidationError

from ...core.errors import ValidationFailed
from ...core.log.port import Log
from ...core.runtime.archived import ARCHIVE_SETTING as SETTING
from .disk import Disk
from .errors import ArchiveMismatch
from .folder import Folder, Identity
from .manifest import Value
from .manifests import Manifests


class Bound(Value):
    """What a log remembers of its archive; `url` is how the one that bound it saw the folder."""

    archive: str
    log: str
    url: str


async def bound_archive(log: Log) -> Bound | None:
    """Return which archive a log has; None where it has none."""
    text = await log.get_setting(SETTING)
    if text is None:
        return None
    try:
        return Bound.model_validate_json(text)
    except ValidationError as error:
        raise ArchiveMismatch(f"{log.url}: expected what the log says of its archive, got {text[:200]!r}") from error


async def bind(log: Log, folder: Folder, url: str, disk: Disk | None = None) -> Identity:
    """Make sure that the folder is the log's archive, making one where neither knows of any; return which it is.

    Raises `ArchiveMismatch` where they do not belong together, `ValidationFailed` where the folder cannot be used.
    """
    bound = await bound_archive(log)
    identity = await asyncio.to_thread(folder.read_identity)
    if identity is None:
        if bound is not None:
            raise ArchiveMismatch(
                f"{folder.root}: there is no archive, but {log.url} is archived in {bound.url} (archive {bound.archive}): "
                "mount that folder here, or name it"
            )
        identity = await asyncio.to_thread(folder.make, disk or Disk(), log.partitions)
    if identity.partitions != log.partitions:
        raise ArchiveMismatch(
            f"{folder.root}: the archive of a log with {identity.partitions} partitions; {log.url} has {log.partitions}"
        )
    if bound is None:
        await _remember(log, folder, identity, url)
    await check_bound(log, identity, folder.root)
    return identity


async def check_bound(log: Log, identity: Identity, root: Path) -> None:
    """Look whether an archive is the one that a log has. Raises `ArchiveMismatch`."""
    bound = await bound_archive(log)
    if bound is None or bound.archive != identity.id:
        has = (
            "has no archive; name its own, or none"
            if bound is None
            else f"is archived in {bound.url} (archive {bound.archive}); name that folder"
        )
        raise ArchiveMismatch(f"{root} is archive {identity.id}, but {log.url} {has}")


async def bind_anew(log: Log, folder: Folder, disk: Disk | None = None) -> Identity:
    """Give a log another archive, in a folder that has none yet; the one that it had is left as it is.

    For a log that went another way than its archive. Raises `ValidationFailed` for a folder that is an archive already.
    """
    before = await log.get_setting(SETTING)
    if await asyncio.to_thread(folder.read_identity) is not None:
        raise ValidationFailed(f"{folder.root} is an archive already; name a new folder")
    identity = await asyncio.to_thread(folder.make, disk or Disk(), log.partitions)
    bound = Bound(archive=identity.id, log=identity.log, url=str(folder.root))
    if not await log.put_setting(SETTING, bound.model_dump_json(), expected=before):
        raise ArchiveMismatch(f"{log.url} was given another archive at the same moment; look at `hms archive status`")
    return identity


async def _remember(log: Log, folder: Folder, identity: Identity, url: str) -> None:
    """Write into the log which archive it has; one that holds records already is some other log's."""
    if await asyncio.to_thread(_has_manifests, folder, identity):
        raise ArchiveMismatch(
            f"{folder.root} holds the history of another log: {log.url} does not know of it (it was made again, or its "
            "settings were lost). Archive it into a new folder, or restore the log from this one (hms archive restore)"
        )
    bound = Bound(archive=identity.id, log=identity.log, url=url)
    await log.put_setting(SETTING, bound.model_dump_json(), expected=None)
    if await bound_archive(log) is None:
        raise ValidationFailed(f"{log.url}: which archive it has was written and is not there; try again")


def _has_manifests(folder: Folder, identity: Identity) -> bool:
    return any(Manifests(folder, identity.id, shard).numbers() for shard in range(identity.partitions))
