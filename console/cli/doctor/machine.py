"""The machine: Python, SQLite, the disk, the clock, the state folder, the agents' locks."""

import os
import platform
import shutil
import sqlite3
import stat
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

from ..log_address import log_file, log_url
from .check import Check

DISK_FAIL_BYTES: Final = 100_000_000
DISK_WARN_BYTES: Final = 1_000_000_000
FSYNC_WARN_MS: Final = 50.0
FSYNCS: Final = 5
SQLITE_MIN: Final = (3, 35)
SERIALISED: Final = 3
PYTHON_MIN: Final = (3, 11)
CLOCK_MIN_S: Final = 1_735_689_600
"""The year 2025: a clock before it was never set."""


def machine_checks(url: str) -> list[Check]:
    """Look at everything that is there without a log."""
    state = (log_file(log_url(None)) or Path()).parent
    path = log_file(url)
    folder = nearest(path.parent if path is not None else state)
    return [_python(), _sqlite(), _clock(), disk(folder), fsync(folder), state_folder(state), *agents(state)]


def nearest(folder: Path) -> Path:
    """Return the folder, or the nearest above it that exists."""
    return next(each for each in (folder, *folder.parents) if each.is_dir())


def _python() -> Check:
    seen = f"{platform.python_version()} on {platform.system()}"
    old = sys.version_info < PYTHON_MIN
    return Check("python", "fail", seen, "use Python 3.11 or newer") if old else Check("python", "ok", seen)


def _sqlite() -> Check:
    seen = f"{sqlite3.sqlite_version}, thread safety {sqlite3.threadsafety}"
    if sqlite3.sqlite_version_info < SQLITE_MIN:
        return Check("sqlite", "fail", seen, "use a Python with SQLite 3.35 or newer")
    if sqlite3.threadsafety != SERIALISED:
        return Check("sqlite", "warn", seen, "use a Python whose SQLite is built in serialised mode (thread safety 3)")
    return Check("sqlite", "ok", seen)


def _clock() -> Check:
    seen = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if time.time() < CLOCK_MIN_S:
        return Check("clock", "fail", seen, "set the clock: new ids would count as too old")
    return Check("clock", "ok", seen)


def disk(folder: Path) -> Check:
    """Look for room: a log that cannot grow stops all work."""
    free = shutil.disk_usage(folder).free
    seen = f"{free / 1e9:.1f} GB free at {folder}"
    if free < DISK_FAIL_BYTES:
        return Check("disk", "fail", seen, "make room now: commits fail when the disk is full")
    return Check(
        "disk", "warn" if free < DISK_WARN_BYTES else "ok", seen, "make room" if free < DISK_WARN_BYTES else ""
    )


def fsync(folder: Path) -> Check:
    """Measure how long a small durable write takes, beside the log: every commit waits for one."""
    try:
        taken_ms = statistics.median(_fsync_ms(folder) for _ in range(FSYNCS))
    except OSError as error:
        return Check("fsync", "fail", f"{folder}: {error.strerror}", "let this user write there, or name another log")
    seen = f"{taken_ms:.1f} ms at {folder}"
    slow = taken_ms > FSYNC_WARN_MS
    return Check("fsync", "warn" if slow else "ok", seen, "put the log on a faster disk" if slow else "")


def _fsync_ms(folder: Path) -> float:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x" * 4_096)
        file.flush()
        begun = time.perf_counter()
        os.fsync(file.fileno())
        return (time.perf_counter() - begun) * 1_000


def state_folder(folder: Path) -> Check:
    """Look at whose the state folder is: it holds what components wrote, and how to command them."""
    if not folder.exists():
        return Check("state folder", "ok", f"{folder} is not there yet")
    status = folder.stat()
    if status.st_uid != os.geteuid():
        seen = f"{folder} belongs to user {status.st_uid}, this is {os.geteuid()}"
        return Check("state folder", "fail", seen, f"run hms as that user, or chown -R {os.geteuid()} {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        todo = f"chmod 700 {folder}; in a container mount a volume there, or name another place (XDG_STATE_HOME)"
        return Check("state folder", "fail", f"{folder} cannot be written to", todo)
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        return Check("state folder", "warn", f"{folder} has mode {mode:04o}: others can look in", f"chmod 700 {folder}")
    return Check("state folder", "ok", f"{folder}, mode {mode:04o}")


def agents(state: Path) -> Iterator[Check]:
    """Say for each fleet of this host whether its agent lives. The locks are not touched: an agent may be taking one."""
    for lock in sorted(state.glob("fleets/*/agent.lock")):
        name = f"agent of {lock.parent.name}"
        pid = lock.read_text(encoding="utf-8", errors="replace").strip()
        if pid.isdigit() and psutil.pid_exists(int(pid)):
            yield Check(name, "ok", f"process {pid} supervises this host")
        else:
            yield Check(
                name, "warn", "nobody supervises it here", "start `hms up` again; what still runs is taken over"
            )
