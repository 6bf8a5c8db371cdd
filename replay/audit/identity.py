"""What a log is called in its checkpoints: drawn once, kept in its settings; a log that was rebuilt is called what it was."""

import secrets
from typing import Final

from ...core.log.port import Log
from ..history import History
from .note import origin_of
from .trail import Recorded, Trail, newest

SETTING: Final = "audit-id"


async def log_id(log: Log, history: History | None = None) -> str | None:
    """Return the id of a log, None where nothing was ever signed.

    Settings are not part of the history: where they are gone, `history` still says it in its checkpoints.
    """
    found = await log.get_setting(SETTING)
    return await _in_checkpoints(history) if found is None and history is not None else found


async def make_log_id(log: Log, history: History) -> str:
    """Return the id of a log, drawn now if there is none."""
    if await log.get_setting(SETTING) is None:
        drawn = await _in_checkpoints(history) or secrets.token_hex(8)
        await log.put_setting(SETTING, drawn, expected=None)  # or somebody else has, a moment ago
    return str(await log.get_setting(SETTING))


async def _in_checkpoints(history: History) -> str | None:
    trail = Trail()
    for shard in range(history.partitions):
        found = await newest(history, trail, shard, wanted=lambda one: _name_in(one) is not None)
        if found is not None:
            return _name_in(found)
    return None


def _name_in(found: Recorded) -> str | None:
    """Return the log's id in a checkpoint; None where its origin is none of ours."""
    origin = "" if found.note is None else found.note.checkpoint.origin
    name = origin.removeprefix("hms/").rpartition("/")[0]
    return name if name and origin == origin_of(name, found.shard) else None
