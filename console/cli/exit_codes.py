"""What a command's end means to a shell: the codes, and which error leads to which."""

import errno
import os
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from ...core.errors import AskTimedOut, DestinationNotFound, HmsError, LogUnreachable, Refused


class Exit(IntEnum):
    """The exit codes; they are a contract."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    UNREACHABLE = 5
    TIMEOUT = 6
    TASK_FAILED = 8
    DIVERGED = 9
    UNHEALTHY = 10


class Stop(Exception):
    """End the command with this code and this message (on stderr)."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code


_CODES: Final = (
    (DestinationNotFound, Exit.NOT_FOUND),
    (LogUnreachable, Exit.UNREACHABLE),
    (AskTimedOut, Exit.TIMEOUT),
    (HmsError, Exit.FAILED),
)


def explained(error: Exception) -> tuple[int, str]:
    """Return the exit code that an error leads to, and the message for people."""
    match error:
        case Stop():
            return error.code, str(error)
        case Refused():
            missing = error.refusal_code.endswith("not_found")
            return (Exit.NOT_FOUND if missing else Exit.FAILED), f"refused: {error}"
    return _foreign(error)


def _foreign(error: Exception) -> tuple[int, str]:
    """Explain what is not of `hms.core`: imported here, because an error may be the first to need them."""
    from cyclopts import CycloptsError  # noqa: PLC0415

    from ...actors.fleet.mistakes import FleetFileInvalid  # noqa: PLC0415
    from ...schemas.errors import ContractError  # noqa: PLC0415

    match error:
        case CycloptsError():
            return Exit.USAGE, _mistyped(str(error), error.command_chain or ())
        case FleetFileInvalid():
            return Exit.USAGE, str(error)
        case HmsError():
            return next(code for kind, code in _CODES if isinstance(error, kind)), str(error)
        case ContractError():
            return Exit.FAILED, str(error)
        case OSError():
            return Exit.FAILED, _refused(error)
    return Exit.FAILED, (
        f"a bug: {type(error).__name__}: {error}. HMS_TRACEBACK=1 shows where; please report it with that"
    )


def _refused(error: OSError) -> str:
    """Say what the operating system refused, and what to do where that is known."""
    if error.filename is None:
        return str(error)
    denied = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    todo = f"; let user {os.geteuid()} write there, or name another place (XDG_STATE_HOME, --log)" if denied else ""
    return f"{os.fsdecode(error.filename)}: {error.strerror}{todo}"


def _mistyped(mistake: str, command: Sequence[str]) -> str:
    mistake = mistake.strip()
    return f"{mistake}{'' if mistake.endswith(('.', '!', '?')) else '.'} See: {' '.join(('hms', *command, '--help'))}"
