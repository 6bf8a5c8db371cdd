"""What a log is called in its checkpoints: drawn once, kept in its settings; a log that was rebuilt is called what it was."""

import secrets
from collections import Counter
from typing import Final

from ...core.log.port import Log
from ..history import History
from .note import origin_of
from .trail import Recorded, Trail, newest, pending

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
    """Return the name in most shards' checkpoints: anybody may have sent one with another."""
    trail = Trail()
    recorded = await pending(history, trail, await history.as_of(), {})
    for shard in range(history.partitions):
        found = await newest(history, trail, shard, wanted=lambda one: _name_in(one) is not None)
        recorded += [found] if found is not None else []
    names = Counter(name for one in recorded if (name := _name_in(one)) is not None)
    return names.most_common(1)[0][0] if names else None


def _name_in(found: Recorded) -> str | None:
    """Return the log's id in a checkpoint; None where its origin is none of ours."""
    origin = "" if found.note is None else found.note.checkpoint.origin
    name = origin.removeprefix("hms/").rpartition("/")[0]
    return name if name and origin == origin_of(name, found.shard) else None
