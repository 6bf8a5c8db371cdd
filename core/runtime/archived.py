"""What the runtime knows of an archive: that the log has one, and how far it may delete what was archived."""

from typing import Final

from ..log.port import Log

ARCHIVE_SETTING: Final = "archive"
FLOOR_SETTING: Final = "archive/floor/"


async def outbox_floor(log: Log, shard: int) -> int | None:
    """Return below which position a shard's outbox is archived; None where the log has no archive: age alone decides."""
    if await log.get_setting(ARCHIVE_SETTING) is None:
        return None
    return int(await log.get_setting(f"{FLOOR_SETTING}{shard}") or 0)


async def raise_outbox_floor(log: Log, shard: int, position: int) -> None:
    """Say that a shard's outbox is archived below a position, by an archive that may be trusted."""
    name = f"{FLOOR_SETTING}{shard}"
    before = await log.get_setting(name)
    if position > int(before or 0):
        await log.put_setting(name, str(position), expected=before)
