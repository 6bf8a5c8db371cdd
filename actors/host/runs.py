"""The folders of a fleet on a host, and what stands in them.

    STATE/host-id
    STATE/fleets/FLEET/agent.lock                  held by the one agent
    STATE/fleets/FLEET/session.json                the number of the last agent
    STATE/fleets/FLEET/components/COMPONENT/
        journal.json                               the newest command
        output.log, output.log.N                   stdout and stderr, over all runs
        INCARNATION.ATTEMPT/                       one run: see `shim.record`

A run is one execution of a command; it never has a second. All but the host id may be deleted while nothing runs.
"""

import contextlib
import fcntl
import os
import shutil
import time
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

from ...core.private_folder import make_private
from .command import HostCommand, stop_signal
from .shim import record, tree

RUN_MARK = "HMS_RUN"
"""In each component's environment: the folder of its run. So its processes are found when its shim is no more."""
TOLD = "told"
"""In a run's folder: its end has been delivered."""


SHIM_LOST: Final = "its shim was killed, so nobody saw its exit code"
BOOT_LOST: Final = "the machine went down, so nobody saw its exit code"


class RunState(Enum):
    """What a run's folder shows."""

    PREPARED = "prepared"
    RUNNING = "running"
    EXITED = "exited"
    LOST = "lost"


class Run(NamedTuple):
    """One attempt at one incarnation of a component."""

    folder: Path
    incarnation: int
    attempt: int

    @classmethod
    def of(cls, component: Path, incarnation: int, attempt: int) -> "Run":
        """Return the run with that number, whether or not it exists."""
        return cls(component / f"{incarnation}.{attempt}", incarnation, attempt)

    @property
    def order(self) -> tuple[int, int]:
        """What sorts runs of one component by age."""
        return self.incarnation, self.attempt

    def state(self) -> RunState:
        """Look at the folder; a shim that holds its lock is alive."""
        if (self.folder / record.EXIT).exists():
            return RunState.EXITED
        if self._locked():
            return RunState.RUNNING
        # Asked again: it may have ended between the two looks.
        if (self.folder / record.EXIT).exists():
            return RunState.EXITED
        return RunState.PREPARED if (self.folder / record.LAUNCH).exists() else RunState.LOST

    def prepare(self, command: HostCommand) -> None:
        """Write what the shim shall launch; does nothing if it was written before."""
        if self.folder.exists():
            return
        fresh = self.folder.with_name(self.folder.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        record.store(str(fresh), record.LAUNCH, launch_plan(command, self.folder))
        fresh.rename(self.folder)

    def exit(self) -> record.Exit | None:
        """Return how it ended, if it is known to have."""
        data = record.load(str(self.folder / record.EXIT))
        return None if data is None else record.exit_from(data)

    def write_off(self) -> record.Exit:
        """Record for a run whose shim died without a word that nobody knows how it ended."""
        seen = record.load(str(self.folder / record.RUNNING)) or {}
        now = time.time_ns() // 1000
        lost = record.Exit(
            boot_id=str(seen.get("boot_id", "")),
            pid=int(seen.get("pid", 0)),
            start_ticks=int(seen.get("start_ticks", 0)),
            started_at=int(seen.get("started_at", now)),
            ended_at=now,
            unknown=True,
            why=SHIM_LOST if seen.get("boot_id") == tree.boot_id() else BOOT_LOST,
            lines=_last_lines(self.folder.parent / "output.log"),
        )
        with contextlib.suppress(OSError):  # a full disk must not keep it from being told
            record.store(str(self.folder), record.EXIT, lost._asdict())
        return lost

    def abandon(self, reason: str) -> bool:
        """Make sure that this run never begins; False if it has begun after all."""
        make_private(self.folder)
        descriptor = os.open(self.folder / record.LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            now = time.time_ns() // 1000
            never = record.Exit(tree.boot_id(), 0, 0, started_at=now, ended_at=now, failed=reason)
            record.store(str(self.folder), record.EXIT, never._asdict())
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    def told(self) -> bool:
        """Whether its end has been delivered."""
        return (self.folder / TOLD).exists()

    def mark_told(self) -> None:
        """Remember that its end has been delivered."""
        with contextlib.suppress(FileNotFoundError):
            (self.folder / TOLD).touch()

    def _locked(self) -> bool:
        try:
            descriptor = os.open(self.folder / record.LOCK, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            # Shared, so that two who look at the same time do not take each other for the shim.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


def runs_of(component: Path) -> list[Run]:
    """Return all runs in a component's folder, oldest first."""
    names = (path.name.partition(".") for path in component.iterdir() if path.is_dir())
    found = [Run.of(component, int(a), int(b)) for a, _, b in names if a.isdigit() and b.isdigit()]
    return sorted(found, key=lambda run: run.order)


def launch_plan(command: HostCommand, folder: Path) -> dict[str, object]:
    """Return what the shim needs to know; the component's environment is the agent's and its own on top."""
    spec = command.spec
    mark = {RUN_MARK: str(folder), "HMS_COMPONENT": command.component, "HMS_INCARNATION": str(command.incarnation)}
    return {
        "command": list(spec.command),
        "environment": {**os.environ, **spec.environment, **mark},
        "working_folder": str(Path(spec.working_folder).absolute()),
        "user": spec.user,
        "umask": spec.umask,
        "open_files": spec.open_files,
        "stop": {"signal": stop_signal(spec), "grace_ms": spec.stop.grace_ms},
        "leased": command.leased,
        "output": {
            "path": str(folder.parent / "output.log"),
            "max_bytes": spec.output.max_mb << 20,
            "keep": spec.output.keep,
        },
    }


def survivors(folder: Path) -> list[tree.Row]:
    """Return what is left of a run whose shim is gone: by its mark, by its session, and what descends from those."""
    table = tree.everything()
    seen = record.load(str(folder / record.RUNNING)) or {}
    leader = table.get(int(seen.get("pid", 0)))
    same_boot = seen.get("boot_id") == tree.boot_id()
    # A session's number is not reused while it has members: they are ours unless its leader is somebody else.
    ours = same_boot and (leader is None or leader.ticks == seen.get("start_ticks"))
    mark = f"{RUN_MARK}={folder}".encode()
    found = [row for row in table.values() if (ours and row.session == seen["pid"]) or mark in _environment(row.pid)]
    every = {row.pid: row for root in found for row in (root, *tree.below(root.pid, table))}
    return [row for row in every.values() if not row.gone and row.pid != os.getpid()]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _last_lines(path: Path) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - record.LINES_KEPT * record.LINE_LENGTH))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ()
    return tuple(line[: record.LINE_LENGTH] for line in text.splitlines()[-record.LINES_KEPT :])
