"""Which log is meant, and whether it is there."""

import os
from pathlib import Path

from ...core.errors import LogUnreachable
from .exit_codes import Exit, Stop

SCHEMES = ("sqlite", "kafka", "simulated")


def log_url(given: str | None) -> str:
    """Return the log's URL: the one given (`--log`, `HMS_LOG`), else `sqlite:$XDG_STATE_HOME/hms/log.db`."""
    if not given:
        return f"sqlite:{_state_home() / 'hms' / 'log.db'}"
    scheme, _, rest = given.partition(":")
    if scheme not in SCHEMES or (scheme == "sqlite" and not rest):
        raise Stop(Exit.USAGE, f"{given!r} is not the URL of a log; expected sqlite:PATH, such as sqlite:./log.db")
    return given


def _state_home() -> Path:
    """Return `$XDG_STATE_HOME`; its specification has relative paths ignored."""
    home = os.environ.get("XDG_STATE_HOME", "")
    return Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state"


def log_file(url: str) -> Path | None:
    """Return the file of an embedded log, None for another."""
    scheme, _, rest = url.partition(":")
    return Path(rest).expanduser().absolute() if scheme == "sqlite" else None


def check_there(url: str) -> None:
    """Raise `LogUnreachable` if an embedded log does not exist: looking at one must not create it."""
    path = log_file(url)
    try:
        missing = path is not None and (not path.is_file() or path.stat().st_size == 0)
    except OSError as error:
        raise LogUnreachable(
            f"cannot look at the log {path}: {error.strerror}; let this user read there, or name another "
            "log (--log, HMS_LOG)"
        ) from error
    if missing:
        raise LogUnreachable(
            f"no log there yet: {path}; `hms up -f FLEET.yaml` makes one, --log or HMS_LOG names another"
        )
