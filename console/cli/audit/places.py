"""Where audits keep what must not be in the log: keys, and what was verified before."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ....replay.audit.errors import NotAProof
from ....replay.audit.keys import KeyFolder
from ....replay.audit.note import Note
from ....replay.audit.trust import Trust, parse_trust
from ....replay.audit.witness import notes_in
from ..exit_codes import Exit, Stop

if TYPE_CHECKING:
    from ....replay.history import History


def audit_folder() -> Path:
    """Return the folder of keys and of what was verified: in the state folder, never in the log."""
    home = os.environ.get("XDG_STATE_HOME", "")
    state = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state"
    return state / "hms" / "audit"


def key_folder() -> KeyFolder:
    """Return this user's keys on this machine."""
    return KeyFolder(audit_folder() / "keys", f"hms-{socket.gethostname()}")


def trust_of(path: Path | None) -> Trust | None:
    """Return what a file of trusted keys says. Raises `Stop` (usage)."""
    if path is None:
        return None
    try:
        return parse_trust(path.read_text(encoding="utf-8"))
    except (NotAProof, UnicodeDecodeError) as error:
        raise Stop(Exit.USAGE, f"{path}: {error}") from None


def notes_of(path: Path) -> list[Note]:
    """Return the checkpoints of a file: one note, or what a witness has kept. Raises `Stop` (usage)."""
    try:
        return notes_in(path.read_text(encoding="utf-8"))
    except (NotAProof, ValueError, KeyError) as error:
        raise Stop(Exit.USAGE, f"{path}: {error}") from None


@asynccontextmanager
async def history_of(url: str, archive: str | None) -> AsyncIterator["History"]:
    """Open a log that exists with its archive: the one that is named, else the one that the log knows of and this host sees."""
    from ..whole_history import whole_history  # noqa: PLC0415 - it imports more than keys need

    async with whole_history(url, archive) as whole:
        yield whole.history
