"""Processes as the kernel shows them: who descends from whom, in which state, since when.

Linux reads `/proc`; elsewhere `ps` answers (best effort: no threads, cpu only to the hundredth of a second).
"""

# ruff: noqa: PTH123, PTH208 - pathlib would cost each shim 5 ms and a megabyte

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import NamedTuple

LINUX = sys.platform == "linux"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK") if LINUX else 100
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PS_FIELDS = 7


class Row(NamedTuple):
    """One process. `ticks` is its start since boot (elsewhere: epoch seconds): with boot id and pid its identity."""

    pid: int
    parent: int
    session: int
    state: str
    ticks: int
    cpu_ticks: int
    threads: int
    rss_bytes: int

    @property
    def gone(self) -> bool:
        """Whether it only waits to be reaped; a zombie whose other threads go on does not."""
        return self.zombie and self.threads <= 1

    @property
    def zombie(self) -> bool:
        """Whether its main thread has ended."""
        return self.state in "ZX"


def read(pid: int) -> Row | None:
    """Return the process as it is now; None if there is none."""
    if not LINUX:
        return next(iter(_by_ps("-p", str(pid))), None)
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    # The name is in brackets and may hold anything, brackets included: count from the last one.
    field = text[text.rindex(b")") + 2 :].split()
    return Row(
        pid=pid,
        parent=int(field[1]),
        session=int(field[3]),
        state=field[0].decode(),
        ticks=int(field[19]),
        cpu_ticks=int(field[11]) + int(field[12]),
        threads=int(field[17]),
        rss_bytes=int(field[21]) * PAGE_BYTES,
    )


def everything() -> dict[int, Row]:
    """Return all processes by pid; one pass, about 15 us a process."""
    if not LINUX:
        return {row.pid: row for row in _by_ps("-A")}
    rows = (read(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return {row.pid: row for row in rows if row is not None}


def below(root: int, table: dict[int, Row]) -> list[Row]:
    """Return all descendants of `root`, nearest first, root itself left out."""
    children: dict[int, list[Row]] = {}
    for row in table.values():
        children.setdefault(row.parent, []).append(row)
    found: list[Row] = []
    queue = [root]
    for pid in queue:
        nearest = children.pop(pid, [])
        found += nearest
        queue += [row.pid for row in nearest]
    return found


def send(row: Row, *numbers: int) -> bool:
    """Signal exactly this process, never one that took its pid since; False if that is not permitted."""
    try:
        if LINUX:
            _send_by_descriptor(row, numbers)
        elif (now := read(row.pid)) is not None and now.ticks == row.ticks:
            for number in numbers:
                os.kill(row.pid, number)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def send_all(rows: Iterable[Row], *numbers: int) -> list[Row]:
    """Signal each; return those that may not be signalled (another user's)."""
    return [row for row in rows if not row.gone and not send(row, *numbers)]


def describe(pid: int, *, whole: bool = False) -> str:
    """Return `PID COMMAND` for a message to people, cut to 120 characters unless the whole is wanted."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        words = ""
    return f"{pid} {(words if whole else words[:120]) or '(unknown)'}"


def boot_id() -> str:
    """Return what names this boot of the machine; pids and ticks mean nothing in another one."""
    if LINUX:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603


def _send_by_descriptor(row: Row, numbers: Iterable[int]) -> None:
    descriptor = os.pidfd_open(row.pid)
    try:
        now = read(row.pid)
        if now is not None and now.ticks == row.ticks:
            for number in numbers:
                signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


def _by_ps(*which: str) -> list[Row]:
    command = ["/bin/ps", *which, "-o", "pid=,ppid=,sess=,state=,rss=,time=,lstart="]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    rows = (line.split(None, PS_FIELDS - 1) for line in answer.stdout.splitlines())
    return [_ps_row(row) for row in rows if len(row) == PS_FIELDS]


def _ps_row(field: list[str]) -> Row:
    started = int(time.mktime(time.strptime(field[6].strip(), "%a %b %d %H:%M:%S %Y")))
    seconds = 0.0
    for part in field[5].replace("-", ":").split(":"):
        seconds = seconds * 60 + float(part)
    pid, parent = int(field[0]), int(field[1])
    return Row(pid, parent, int(field[2], 16), field[3][0], started, int(seconds * 100), 1, int(field[4]) * 1024)
