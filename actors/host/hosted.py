"""One component on this host: brings what is to what is wished for, and tells what happens on the way."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...schemas.fleet import ComponentSpec
from .attendance import Attendance
from .budget import delay_ms, still_counted, wants_restart
from .command import HostCommand, stop_signal
from .facts import Exited, Fact, Seen, Started, StartFailed
from .host_id import boot_id
from .inventory import Phase
from .journal import Entry, Journal
from .lag import Lag
from .permit import Permit
from .process import Process, ShimMissing
from .reporter import Reporter
from .runs import Run, RunState
from .sampling import Sample
from .shim.lease import Lease, boot_seconds
from .shim.record import Exit
from .tasks import begin
from .vitals import Vitals

RETRY_S = 1.0
FENCE_SLACK_S = 0.3
"""How much longer than the lease a shim has to end its component before it is killed itself."""


class HostedComponent:
    """Acts in a task of its own, one step at a time; facts come out in the order in which things happened."""

    def __init__(self, name: str, folder: Path, reporter: Reporter, lag: Lag, log_away: Callable[[], bool]) -> None:
        """Read the journal; do nothing yet."""
        self.name = name
        self.journal = Journal(folder)
        self.folder = folder
        self.phase: Phase = "down"
        self.process: Process | None = None
        self.run: Run | None = None
        self.ending: Exit | None = None
        self.expected = False
        self.seen: Seen = "live"
        self.attendance: Attendance | None = None
        self.trouble = ""
        self._reporter, self._lag, self._log_away = reporter, lag, log_away
        self._accepting = asyncio.Lock()
        self._changed = asyncio.Event()
        self.permit = Permit(self._changed.set)
        if self.journal.entry is not None:
            self.permit.hold(self.journal.entry.command)
        self._settled = asyncio.Event()
        self._leaving: list[Process] = []
        self._restart_at: float | None = None
        self._halted = self._heal = self._kill = False
        self._living: asyncio.Task[None] | None = None
        self._killing: asyncio.Task[None] | None = None

    @property
    def vitals(self) -> Vitals:
        """The verdicts of the probes on the newest run."""
        return self.attendance.vitals if self.attendance is not None else Vitals()

    def live(self) -> None:
        """Begin to act."""
        self._living = begin(self._live(), f"component {self.name}")

    async def obey(self, command: HostCommand) -> bool:
        """Journal the command, then act on it; False for one that is no news."""
        async with self._accepting:
            before = self.journal.entry
            if not await asyncio.to_thread(self.journal.accept, command):
                return False
        if before is not None and command.rank[:2] == before.command.rank[:2] and command.desired == "up":
            await self._attend_anew(before.command.spec, command.spec)
            return True
        self._halted = self._heal = False
        self._restart_at = None
        self.permit.hold(command)
        self._kill = command.kill
        if self._kill and self.process is not None:
            self._killing = begin(self._kill_now(self.process), f"kill {self.name}")
        self._changed.set()
        return True

    async def adopt(self, run: Run) -> None:
        """Take over a run that an earlier agent began."""
        self._attend(run, await Process.adopt(run), adopted=True)

    async def displace(self) -> None:
        """Kill what runs before `live`: a newer run was found beside it."""
        if self.process is not None:
            process = self.process
            await process.kill()
            self._on_exit(process)

    async def stop(self) -> None:
        """Stop by local decision, without a command; done once nothing of it is left."""
        self._halted = True
        self._settled.clear()
        self._changed.set()
        await self._settled.wait()

    async def kill(self) -> None:
        """Kill at once, also in the middle of a stop."""
        self._halted = self._kill = True
        if self.process is not None:
            await self.process.kill()
        await self.stop()

    async def close(self) -> None:
        """Stop watching; the component runs on."""
        if self._living is not None:
            self._living.cancel()
            await asyncio.wait({self._living})
        if self.attendance is not None:
            await self.attendance.end()
        watched, self.process = self.process, None
        for process in (watched, *self._leaving):
            if process is not None:
                await process.detach()

    def reconsider(self) -> None:
        """Heal, now that the log is away, what was told and may never have been heard."""
        if self.process is not None:
            if not self.vitals.alive:
                self.heal()
        elif self._restart_at is None and self.run is not None and self.ending is not None:
            self._tell_end_if_permitted(self.run, self.ending)

    def renew(self, incarnation: int, lease: Lease) -> None:
        """Let that incarnation start, and run, until the lease is over."""
        self.permit.grant(incarnation, lease)
        if self.process is not None and self.process.run.incarnation == incarnation:
            self.process.renew(lease)
            self._watch_lease(self.process, lease)

    def note(self, sample: Sample) -> None:
        """Compare a sample with the limits."""
        if self.attendance is not None and self.phase == "running":
            self.attendance.note(sample)

    def say(self, kind: type[Fact], **fields: Any) -> None:
        """Tell a fact about the newest run, unless all about it has been delivered."""
        if self.run is not None and not self.run.told():
            self._reporter.say(kind, self.name, self.run, **fields)

    def heal(self) -> None:
        """Restart what runs, if the log is away and the budget permits."""
        entry = self.journal.entry
        if entry is not None and self._log_away() and len(self._spent(entry)) < entry.command.budget.count:
            self._heal = True
            self._changed.set()

    @staticmethod
    async def _kill_now(process: Process) -> None:
        await process.kill()

    async def _attend_anew(self, before: ComponentSpec, after: ComponentSpec) -> None:
        """Ask other probes of what runs, and hold it to other limits."""
        process, attendance = self.process, self.attendance
        if (before.probes, before.limits) == (after.probes, after.limits) or process is None or attendance is None:
            return
        await attendance.end()
        if self.process is process and self.attendance is attendance and process.identity is not None:
            self.attendance = Attendance(process, process.identity, after, self._lag, self)

    async def _live(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self._reconcile()
                self.trouble = ""
            except (OSError, ShimMissing) as error:
                self.trouble = f"{error} (tried again every {RETRY_S:.0f} s)"
                asyncio.get_running_loop().call_later(RETRY_S, self._changed.set)
            if self.process is None and not self._changed.is_set():
                self._settled.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._restart_at):
                    await self._changed.wait()

    async def _reconcile(self) -> None:
        self.permit.leaseless = False  # unless a start is wanted, and wants one, below
        if self.process is not None and self._to_be_stopped(self.process.run):
            await self._stop(self.process)
        if self._restart_is_due():
            await self._begin_attempt()
        entry = self.journal.entry
        if self.process is None and entry is not None and not self._halted and entry.command.desired == "up":
            run = Run.of(self.folder, entry.command.incarnation, entry.attempt)
            if self._never_begun(run) and self.permit.to_start(entry.command):
                await self._start(run, entry.command)

    def _watch_lease(self, process: Process, lease: Lease) -> None:
        left_s = max(0.0, lease.end - boot_seconds()) + FENCE_SLACK_S
        asyncio.get_running_loop().call_later(left_s, self._look_at_lease, process, lease)

    def _look_at_lease(self, process: Process, lease: Lease) -> None:
        """End what outlives its lease: its shim should have, but may be stopped."""
        if process.lease == lease and not process.exited.done():
            begin(process.end_with_lease(), f"end of the lease of {self.name}")

    def _to_be_stopped(self, run: Run) -> bool:
        return self._heal or self._superseded(run)

    def _superseded(self, run: Run) -> bool:
        entry = self.journal.entry
        wanted = entry is not None and entry.command.desired == "up" and entry.command.incarnation == run.incarnation
        return self._halted or not wanted

    def _never_begun(self, run: Run) -> bool:
        over = self.run is not None and self.run.order >= run.order
        return not over and (not run.folder.exists() or run.state() is RunState.PREPARED)

    async def _start(self, run: Run, command: HostCommand) -> None:
        self.phase, self.run, self.ending, self.attendance = "starting", run, None, None
        try:
            process = await Process.start(run, command, self.permit.lease(command))
        except ShimMissing as error:
            if await asyncio.to_thread(run.abandon, str(error)):
                self._tell_end(run, run.exit())
                return
            process = await Process.adopt(run)
        except OSError:
            self.run = None  # nothing has begun: it is tried again
            raise
        self._attend(run, process)

    async def _stop(self, process: Process) -> None:
        self.phase = "stopping"
        if self.attendance is not None:
            await self.attendance.end()
        spec = self._spec()
        await (process.kill() if self._kill else process.stop(stop_signal(spec), spec.stop.grace_ms))
        self._on_exit(process)

    def _attend(self, run: Run, process: Process, *, adopted: bool = False) -> None:
        self.run, self.process, self.ending = run, process, None
        identity = process.identity
        if identity is not None and identity.pid:
            self.phase = "running"
            self.say(Started, boot_id=identity.boot_id, pid=identity.pid, start_ticks=identity.start_ticks)
        self.seen = "live"
        if process.exited.done():
            if adopted:
                self.seen = "adoption" if process.exited.result().boot_id in {"", boot_id()} else "reboot"
            self._on_exit(process)
            return
        process.exited.add_done_callback(lambda _: self._on_exit(process))
        if process.lease is not None:
            self._watch_lease(process, process.lease)
        if identity is not None:
            self.attendance = Attendance(process, identity, self._spec(), self._lag, self)

    def _on_exit(self, process: Process) -> None:
        if self.process is not process or process.exited.cancelled():
            return
        self.process = None
        self._leaving = [*(other for other in self._leaving if not other.left), process]
        if self.attendance is not None:
            self.attendance.drop()
        self._tell_end(process.run, process.exited.result())
        self._heal = False
        self._changed.set()

    def _tell_end(self, run: Run, ending: Exit | None) -> None:
        if ending is None:
            return
        self.ending = ending
        self.expected = (ending.stopped and not self._heal) or self._superseded(run)
        restarting = self._plan_restart(run, ending)
        if ending.failed is not None:
            self.phase = "restarting" if restarting else "start_failed"
            self.say(StartFailed, reason=ending.failed, restarting=restarting)
            return
        self.phase = "restarting" if restarting else "exited"
        self.say(
            Exited,
            code=ending.code,
            signal=ending.signal,
            unknown=ending.unknown,
            oom=ending.oom,
            expected=self.expected,
            restarting=restarting,
            seen=self.seen,
            fenced=ending.fenced,
            why=ending.why,
            ran_ms=max(0, ending.ended_at - ending.started_at) // 1000,
            cpu_ms=ending.cpu_ms,
            rss_bytes_max=ending.rss_bytes_max,
            last_output=ending.lines,
            left=ending.left,
        )

    def _tell_end_if_permitted(self, run: Run, ending: Exit) -> None:
        if not run.told() and self._may_restart(run, ending):
            self._tell_end(run, ending)

    def _may_restart(self, run: Run, ending: Exit) -> bool:
        entry = self.journal.entry
        if entry is None or not self._log_away() or self.expected or entry.attempt != run.attempt:
            return False
        within_budget = len(self._spent(entry)) < entry.command.budget.count
        return within_budget and wants_restart(entry.command.spec.restart, ending)

    def _plan_restart(self, run: Run, ending: Exit) -> bool:
        entry = self.journal.entry
        if entry is None or not self._may_restart(run, ending):
            return False
        delay = delay_ms(entry.command.spec.backoff, len(self._spent(entry))) / 1000
        self._restart_at = asyncio.get_running_loop().time() + delay
        self._changed.set()
        return True

    def _restart_is_due(self) -> bool:
        return self._restart_at is not None and asyncio.get_running_loop().time() >= self._restart_at

    async def _begin_attempt(self) -> None:
        entry = self.journal.entry
        if entry is not None and not self._halted:
            async with self._accepting:
                # A command that came in the meantime has taken the restart back.
                if self._restart_at is not None:
                    spent = (*self._spent(entry), time.time_ns() // 1000)
                    await asyncio.to_thread(self.journal.begin_attempt, spent)
        self._restart_at = None

    @staticmethod
    def _spent(entry: Entry) -> tuple[int, ...]:
        return still_counted(entry.restarted_at, entry.command.budget, time.time_ns() // 1000)

    def _spec(self) -> ComponentSpec:
        if self.journal.entry is None:
            raise ValueError(f"{self.folder}: a run without a journal; expected that a command is journalled first")
        return self.journal.entry.command.spec
