"""Which process a node is, so that a killed one is known for dead before its lease is over.

All nodes of an embedded log share a machine. A session names its process: pid, start time in ticks (pids come again) and
pid namespace (another container's pids mean nothing here). Whoever cannot tell waits for the lease.
"""

import os
import uuid
from pathlib import Path


def new_session() -> str:
    """Return a session of this process: `pid:ticks:namespace:random`, or random alone where the system does not say."""
    own = identity(os.getpid())
    return f"{own}:{uuid.uuid4().hex}" if own else uuid.uuid4().hex


def identity(pid: int) -> str:
    """Return what tells a process from all others on this machine, or nothing (gone, a zombie, or no /proc)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
    return "" if fields[0] in {"Z", "X"} else f"{pid}:{fields[19]}:{namespace.strip('pid:[]')}"


def is_over(session: str) -> bool:
    """Tell whether a session's process is known to be gone; False when that cannot be known from here."""
    pid, _, rest = session.partition(":")
    own = identity(os.getpid()).split(":")
    named = rest.split(":")
    if len(own) != 3 or len(named) != 3 or named[1] != own[2]:  # noqa: PLR2004 - pid, ticks, namespace (and random)
        return False
    return identity(int(pid)) != session.rpartition(":")[0]
