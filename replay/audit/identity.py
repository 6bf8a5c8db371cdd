"""What a log is called in its checkpoints: drawn once, kept in its settings."""

import secrets
from typing import Final

from ...core.log.port import Log

SETTING: Final = "audit-id"


async def log_id(log: Log) -> str | None:
    """Return the id of a log, None where nothing was ever signed."""
    return await log.get_setting(SETTING)


async def make_log_id(log: Log) -> str:
    """Return the id of a log, drawn now if there is none."""
    found = await log_id(log)
    if found is None:
        await log.put_setting(SETTING, secrets.token_hex(8), expected=None)  # or somebody else has, a moment ago
        found = await log_id(log)
    return str(found)
