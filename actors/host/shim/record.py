"""What a run leaves in its folder, and how it gets there whole: names of the files, the exit record, atomic writing."""

# ruff: noqa: PTH105, PTH123 - pathlib would cost each shim 5 ms and a megabyte

import json
import os
from typing import Any, NamedTuple

LAUNCH = "launch.json"
"""What to run; the shim removes it once it has begun, so while it is there nothing was ever started."""
LOCK = "lock"
"""Held (flock) by the shim for as long as it lives."""
DOOR = "door"
"""The shim's unix-domain socket."""
RUNNING = "running.json"
"""The identity of the component's main process."""
EXIT = "exit.json"
"""The exit record; once there, this run is over for ever."""

LINES_KEPT = 20
LINE_LENGTH = 400


class Exit(NamedTuple):
    """How a run ended. Instants are micros UTC. Exactly one of `code`, `signal`, `failed`, `unknown` tells how.

    `failed` says why the command could not be executed; `stopped` that the shim was asked to end it, `fenced` that it
    did so by itself because the lease was over; `why` says in words what those do not; `left` names processes that it
    was not allowed to kill (another user's).
    """

    boot_id: str
    pid: int
    start_ticks: int
    started_at: int
    ended_at: int
    code: int | None = None
    signal: str | None = None
    failed: str | None = None
    unknown: bool = False
    fenced: bool = False
    oom: bool = False
    stopped: bool = False
    why: str = ""
    lines: tuple[str, ...] = ()
    cpu_ms: int = 0
    rss_bytes_max: int = 0
    dropped_bytes: int = 0
    left: tuple[str, ...] = ()


def exit_from(data: dict[str, Any]) -> Exit:
    """Return the record of a decoded file or message; fields of a newer shim are left out."""
    known: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    return Exit(**{name: value for name, value in known.items() if name in Exit._fields})


def load(path: str) -> dict[str, Any] | None:
    """Return the file's JSON object; None if there is no such file."""
    try:
        with open(path, encoding="utf-8") as file:
            loaded: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        return None
    return loaded


def store(folder: str, name: str, data: dict[str, Any]) -> None:
    """Write a JSON file so that it is either whole or not there, also after a power failure."""
    path = os.path.join(folder, name)  # noqa: PTH118
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(data, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
    folder_descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder_descriptor)
    finally:
        os.close(folder_descriptor)
