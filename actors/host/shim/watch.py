"""The shim's loop: start the component, keep its output, reap its tree, stop it when asked, tell how it ended."""

# ruff: noqa: PTH107 - pathlib would cost each shim 5 ms and a megabyte

import contextlib
import fcntl
import json
import os
import selectors
import signal
import time
from collections.abc import Sequence
from typing import Any

from . import oom, tree
from .door import Door
from .launch import LaunchFailed, become_subreaper, launch
from .lease import LEASE_OVER, LOOK_S, Lease, boot_seconds, lease_from
from .output import Output
from .record import EXIT, LAUNCH, LOCK, RUNNING, Exit, load, store

CLEARING_S = 0.02
"""How often the rest of a tree is killed again."""
UNHEARD_S = 30.0
"""How long a watcher that does not acknowledge is waited for; the record is on disk in any case."""
FORBIDDEN_S = 5.0
"""How long processes that may not be signalled are waited for."""


def main(folder: str, lease: str = "null") -> int:
    """Run one attempt; returns at once if another shim has it, had it, or there is nothing to start.

    `lease` is the one to begin under, as JSON; without it, what needs one is never started.
    """
    os.chdir(folder)
    umask = os.umask(0o077)
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    plan = load(LAUNCH)
    if plan is None or load(EXIT) is not None:
        return 0
    become_subreaper()
    Shim(plan, lease_from(json.loads(lease))).run(umask)
    return 0


class Shim:
    """One component's main process and all that descends from it."""

    def __init__(self, plan: dict[str, Any], lease: Lease | None) -> None:
        """Open the door before anything runs."""
        self._plan = plan
        self._lease = (lease or Lease(0.0, 0.0)) if plan.get("leased") else None
        self._fenced = False
        self._selector = selectors.DefaultSelector()
        self._door = Door(self._selector, self._answer)
        self._output: Output | None = None
        self._boot_id = tree.boot_id()
        self._pid = self._ticks = 0
        self._started_at = _now()
        self._oom_kills = oom.kills()
        self._status: tuple[int, Any] | None = None
        self._kill_at: float | None = None
        self._forbidden_since: float | None = None
        self._stopped = self._killed = False
        self._asked = self._why = ""
        self._left: list[tree.Row] = []
        self._exit: Exit | None = None
        self._leave_at: float | None = None

    def run(self, umask: int) -> None:
        """Live from launch to acknowledgement."""
        self._hear_signals()
        # From here on this attempt has begun: should we die now, it counts as unknown and is never begun again.
        os.remove(LAUNCH)
        try:
            self._pid, source = self._launch(umask)
        except LaunchFailed as failure:
            self._finish(failed=str(failure))
        else:
            self._begin(source)
        while not self._over():
            for key, _ in self._selector.select(self._patience()):
                key.data()
            self._advance()

    def _launch(self, umask: int) -> tuple[int, int]:
        if self._lease is not None and self._lease.over:
            raise LaunchFailed(LEASE_OVER)
        return launch(self._plan, umask)

    def _begin(self, source: int) -> None:
        row = tree.read(self._pid)
        self._ticks = row.ticks if row else 0
        store(".", RUNNING, self._identity())
        output = self._plan["output"]
        self._output = Output(source, output["path"], output["max_bytes"], output["keep"])
        self._selector.register(source, selectors.EVENT_READ, self._drain)

    def _hear_signals(self) -> None:
        source, sink = os.pipe()
        os.set_blocking(source, False)
        os.set_blocking(sink, False)
        signal.set_wakeup_fd(sink, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        self._selector.register(source, selectors.EVENT_READ, lambda: self._on_signals(os.read(source, 512)))

    def _on_signals(self, numbers: bytes) -> None:
        # A TERM to the shim is the machine going down, or an operator's hand: stop the component in its own way.
        if signal.SIGTERM in numbers:
            self._stop(self._plan["stop"]["signal"], self._plan["stop"]["grace_ms"])

    def _drain(self) -> None:
        if self._output is not None and not self._output.drain():
            self._selector.unregister(self._output.source)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["ask"]:
            case "stop":
                self._stop(request["signal"], request["grace_ms"])
            case "kill":
                self._stop("KILL", 0)
            case "lease":
                self._renew(request["lease"])
            case "acknowledge":
                self._leave_at = 0.0 if self._exit else self._leave_at
            case "status":
                pass
            case other:
                return {"error": f"expected status, stop, kill, lease or acknowledge, got {other!r}"}
        return {"exit": self._exit._asdict()} if self._exit else {"status": self._identity()}

    def _identity(self) -> dict[str, Any]:
        return {
            "boot_id": self._boot_id,
            "pid": self._pid,
            "start_ticks": self._ticks,
            "started_at": self._started_at,
            "shim": os.getpid(),
            "lease": self._lease,
        }

    def _renew(self, lease: Sequence[float]) -> None:
        # A later agent may have asked with shorter periods: what was granted before holds all the same.
        if self._lease is not None and not self._fenced:
            self._lease = max(self._lease, Lease(*map(float, lease)), key=lambda one: one.end)

    def _end_with_lease(self) -> None:
        """Stop in time for nothing to be left at the lease's end.

        Once that is past, as after a SIGSTOP of all of them, what is stopped is killed without being let run on.
        """
        now = boot_seconds()
        if self._lease is None or self._fenced or now < self._lease.stop:
            return
        self._fenced = True
        left_ms = round((self._lease.end - now) * 1_000)
        self._stop(*((self._plan["stop"]["signal"], left_ms) if left_ms > 0 else ("KILL", 0)))

    def _stop(self, name: str, grace_ms: int) -> None:
        number = signal.Signals[f"SIG{name}"]
        self._stopped = True
        self._asked = f"did not stop within {grace_ms} ms of {name}: killed" if name != "KILL" else ""
        deadline = boot_seconds() + grace_ms / 1000
        self._kill_at = deadline if self._kill_at is None else min(self._kill_at, deadline)
        # CONT, because a stopped process would only hear of the TERM when somebody continues it.
        tree.send_all(self._descendants(), number, signal.SIGCONT)

    def _descendants(self) -> list[tree.Row]:
        return tree.below(os.getpid(), tree.everything())

    def _advance(self) -> None:
        if self._exit is not None:
            return
        self._end_with_lease()
        tree_gone = self._reap()
        if self._status is not None and (tree_gone or self._only_forbidden_left()):
            self._finish()
        elif self._time_to_kill():
            self._kill()

    def _reap(self) -> bool:
        """Reap all that died; True if nothing at all is left below us (we are subreaper: nothing escapes that)."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self._pid:
                self._status = status, usage

    def _time_to_kill(self) -> bool:
        if self._kill_at is not None:
            return boot_seconds() >= self._kill_at
        return self._status is not None

    def _kill(self) -> None:
        if self._status is None:
            self._killed, self._why = True, self._asked
        rows = [row for row in self._descendants() if not row.gone]
        self._left = tree.send_all(rows, signal.SIGKILL)
        if not rows or len(self._left) < len(rows):
            self._forbidden_since = None
        elif self._forbidden_since is None:
            self._forbidden_since = time.monotonic()

    def _only_forbidden_left(self) -> bool:
        return self._forbidden_since is not None and time.monotonic() - self._forbidden_since > FORBIDDEN_S

    def _finish(self, failed: str | None = None) -> None:
        if self._output is not None:
            self._output.drain_all()
        self._exit = self._record(failed)
        store(".", EXIT, self._exit._asdict())
        self._leave_at = time.monotonic() + UNHEARD_S
        self._door.tell({"exit": self._exit._asdict()})

    def _record(self, failed: str | None) -> Exit:
        status, usage = self._status or (0, None)
        by_signal = signal.Signals(os.WTERMSIG(status)).name.removeprefix("SIG") if os.WIFSIGNALED(status) else None
        oom_suspected = by_signal == "KILL" and not self._killed
        return Exit(
            **{name: value for name, value in self._identity().items() if name not in ("shim", "lease")},
            ended_at=_now(),
            code=os.WEXITSTATUS(status) if failed is None and by_signal is None else None,
            signal=by_signal,
            failed=failed,
            oom=oom_suspected and oom.killed(self._pid, self._oom_kills),
            stopped=self._stopped,
            fenced=self._fenced,
            why="; ".join(part for part in (LEASE_OVER if self._fenced else "", self._why) if part),
            lines=self._output.lines() if self._output else (),
            cpu_ms=round((usage.ru_utime + usage.ru_stime) * 1000) if usage else 0,
            rss_bytes_max=usage.ru_maxrss * (1024 if tree.LINUX else 1) if usage else 0,
            dropped_bytes=self._output.dropped_bytes if self._output else 0,
            left=tuple(tree.describe(row.pid) for row in self._left),
        )

    def _patience(self) -> float | None:
        """Return how long nothing needs doing; None: until something happens."""
        if self._leave_at is not None:
            return max(0.0, self._leave_at - time.monotonic()) if self._door.watched else 0.0
        if self._time_to_kill():
            return CLEARING_S
        waits = [self._kill_at - boot_seconds()] if self._kill_at is not None else []
        if self._lease is not None:
            waits += [LOOK_S] if self._fenced else [LOOK_S, self._lease.stop - boot_seconds()]
        return max(0.0, min(waits)) if waits else None

    def _over(self) -> bool:
        if self._leave_at is None or (self._door.watched and time.monotonic() < self._leave_at):
            return False
        with contextlib.suppress(FileNotFoundError):
            os.remove("door")
        return True


def _now() -> int:
    return time.time_ns() // 1000
