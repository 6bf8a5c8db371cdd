"""The archive: is it there, how far behind is it, does its disk fill up."""

import shutil
import time
from pathlib import Path
from typing import Final

from ....core.errors import HmsError
from ....core.log.port import Log
from ..archive_options import opened_archive
from ..archive_status import archive_item, sentence, shard_items
from .check import Check

LAG_WARN: Final = 100_000
AGE_WARN_S: Final = 600.0
FREE_WARN: Final = 0.05


async def archive_checks(log: Log) -> list[Check]:
    """Look at the archive that the log knows of; nothing to look at where there is none."""
    if await log.get_setting("archive") is None:
        return []
    try:
        archive = await opened_archive(log, None)
        shards = await shard_items(log, archive)
    except (HmsError, OSError) as error:
        todo = "mount its folder, or restore it from a backup; until then the log keeps everything"
        return [Check("archive", "warn", str(error), todo)]
    item = archive_item(archive, shards, time.time_ns() // 1_000)
    behind = item["lag"] > LAG_WARN or (item["lag"] > 0 and (item["age_s"] or 0) > AGE_WARN_S)
    todo = "start a node with --archive, or `hms archive run`" if behind else ""
    return [Check("archive", "warn" if behind else "ok", sentence(item), todo), _disk(archive.folder.root)]


def _disk(root: Path) -> Check:
    usage = shutil.disk_usage(root)
    seen = f"{usage.free / 1e9:.1f} of {usage.total / 1e9:.1f} GB free"
    full = usage.free < usage.total * FREE_WARN
    todo = "make room, or let a policy delete: `hms archive compact --disk-max`" if full else ""
    return Check("archive disk", "warn" if full else "ok", seen, todo)
