"""Who and where this host is: its lasting id, this boot's id, the start of a process, and the folder of its state."""

import os
import socket
import uuid
from pathlib import Path

from ...core.private_folder import make_private
from .shim import tree


def state_folder(override: str | Path | None = None) -> Path:
    """Return where to keep what must survive: `override`, else `$XDG_STATE_HOME/hms`, else `~/.local/state/hms`."""
    if override is not None:
        return Path(override).absolute()
    home = os.environ.get("XDG_STATE_HOME", "")
    # The XDG specification has relative paths ignored.
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state") / "hms"


def host_id(state: Path) -> str:
    """Return this host's id, drawn once and kept in the state folder: `HOSTNAME-` and 12 hexadecimal digits."""
    path = state / "host-id"
    make_private(state)
    if not path.exists():
        drawn = state / f"host-id.{uuid.uuid4().hex}"
        drawn.write_text(f"{socket.gethostname().split('.')[0] or 'host'}-{uuid.uuid4().hex[:12]}\n", encoding="utf-8")
        try:
            path.hardlink_to(drawn)  # put-if-absent: of two that draw at once, one wins and both read the winner's
        except FileExistsError:
            pass
        finally:
            drawn.unlink()
    return path.read_text(encoding="utf-8").strip()


def boot_id() -> str:
    """Return what names this boot; pid and start ticks are an identity only within it."""
    return tree.boot_id()


def start_ticks(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot (macOS: epoch seconds); None if there is none."""
    row = tree.read(pid)
    return None if row is None else row.ticks
