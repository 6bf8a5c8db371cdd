"""One agent per host and fleet: a lock that the kernel frees when its holder dies, however it dies."""

import fcntl
import os
from pathlib import Path

from ...core.private_folder import make_private


class HostBusy(RuntimeError):
    """Another agent supervises this fleet on this host; `pid` is its process."""

    def __init__(self, fleet: str, pid: str, path: Path) -> None:
        """Say who holds it and what to do."""
        super().__init__(
            f"fleet {fleet!r}: process {pid} already supervises it on this host (it holds {path}). "
            "Stop that one first, or use another fleet name"
        )
        self.pid = pid


class AgentLock:
    """Held from its making to `release`; components and shims do not inherit it."""

    def __init__(self, fleet: str, folder: Path) -> None:
        """Take the lock.

        Raises:
            HostBusy: Somebody has it.

        """
        make_private(folder)
        path = folder / "agent.lock"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 20).decode().strip()
            os.close(self._descriptor)
            raise HostBusy(fleet, holder or "(unknown)", path) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another agent in."""
        os.close(self._descriptor)
