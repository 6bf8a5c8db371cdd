"""Where audits keep what must not be in the log: keys, and what was verified before."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from ....replay.audit.errors import NotAProof
from ....replay.audit.keys import KeyFolder
from ....replay.audit.note import Note
from ....replay.audit.trust import Trust, parse_trust
from ....replay.audit.witness import notes_in
from ..exit_codes import Exit, Stop

if TYPE_CHECKING:
    from ....replay.history import History

TrustOption: TypeAlias = Annotated[
    Path | None, Parameter(help="File of the public keys that count, one a line, as `hms audit key show` prints them")
]
WitnessOption: TypeAlias = Annotated[
    str | None,
    Parameter(env_var="HMS_WITNESS", help="A file or an http(s) URL outside, which is told every checkpoint"),
]


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
    """Open a log with its archive, where one is named."""
    from ..replay_options import history_of as opened  # noqa: PLC0415 - it imports more than keys need

    async with opened(url, archive) as history:
        yield history
