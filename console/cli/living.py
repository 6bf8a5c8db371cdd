"""Which processes of this host serve a log, whether or not they can write it."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from .log_address import log_file, log_url


def agents_of(url: str) -> list[int]:
    """Return the processes that supervise a fleet of this host and have this log open, by their number.

    They hold `agent.lock` and hang a bell beside the log, which stays where it is when the log itself is removed.
    """
    path, state = log_file(url), log_file(log_url(None))
    if path is None or state is None:
        return []
    bells = {bell.name.partition("-")[0] for bell in path.parent.glob(f"{path.name}-bells/*")}
    return sorted(pid for pid in living_agents(state.parent) if str(pid) in bells)


def living_agents(state: Path) -> Iterator[int]:
    """Yield the processes in the agents' locks that live. The locks are not touched: an agent may be taking one."""
    for lock in state.glob("fleets/*/agent.lock"):
        pid = lock.read_text(encoding="utf-8", errors="replace").strip()
        if pid.isdigit() and int(pid) != os.getpid() and psutil.pid_exists(int(pid)):
            yield int(pid)


def lease_lost(pids: list[int]) -> str:
    """Say that there are processes, though none of them counts as alive."""
    names = ", ".join(map(str, pids))
    return f"process {names} runs but its lease has expired: is the disk full, or is it paused?"
