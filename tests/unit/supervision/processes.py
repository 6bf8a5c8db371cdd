"""A model of a host's processes: one start an incarnation, every command answered, every fault at the test's wish."""

from dataclasses import dataclass
from typing import Any

from hms.schemas.component_reports import (
    ComponentCommand,
    ReportExit,
    ReportLimit,
    ReportProbe,
    ReportStarted,
    ReportStartFailed,
    RunHook,
)
from hms.schemas.host import ReportInventory

HOST = "h1"
FLEET = "shop"


@dataclass
class Run:
    """What the host knows of a component: the newest command, and how its incarnation fares."""

    incarnation: int = 0
    desired: str = "down"
    live: bool = False
    ready: bool = True
    attempt: int = 0
    pid: int = 0
    end: ReportExit | ReportStartFailed | None = None


class Machine:
    """Processes as a host would run them: one start an incarnation, every command answered."""

    def __init__(self, world: Any, name: str = HOST) -> None:
        self.world = world
        self.name = name
        self.runs: dict[str, Run] = {}
        self.session = 1
        self.sequence = 0
        self.boot = 1
        self.pids = 100
        self.fail_starts: dict[str, int] = {}
        self.never_ready: set[str] = set()
        self.hangs: set[str] = set()
        self.hooks: list[RunHook] = []
        self.commands: list[ComponentCommand] = []
        self.doubled: list[ComponentCommand] = []

    def take(self, message: Any) -> None:
        """Execute what the log commands."""
        if isinstance(message, RunHook):
            self.hooks.append(message)
            return
        assert isinstance(message, ComponentCommand)
        self.commands.append(message)
        run = self.runs.setdefault(message.component, Run())
        rank = (message.incarnation, message.desired == "down")
        known = (run.incarnation, run.desired == "down")
        if rank > known and run.incarnation < message.incarnation:
            self._newer(message, run)
        elif rank > known or (rank == known and message.desired == "down"):
            self._down(message.component, run)
        elif message.incarnation < run.incarnation:
            newest = run.incarnation
            self._say(
                ReportStartFailed, message.component, message.incarnation, 0, reason="old", newest_incarnation=newest
            )
        else:
            self._answer(message.component, run)

    def _newer(self, command: ComponentCommand, run: Run) -> None:
        if run.live:
            self.doubled.append(command)
            self.end(command.component, signal="KILL")
        fresh = Run(incarnation=command.incarnation, desired=command.desired)
        self.runs[command.component] = fresh
        if command.desired == "down":
            fresh.end = self._say(ReportExit, command.component, fresh.incarnation, 0, unknown=True)
        elif self.fail_starts.get(command.component, 0) > 0:
            self.fail_starts[command.component] -= 1
            fresh.end = self._say(ReportStartFailed, command.component, fresh.incarnation, 0, reason="no such file")
        else:
            self._spawn(command.component, fresh)

    def _spawn(self, name: str, run: Run) -> None:
        self.pids += 1
        run.live, run.pid = True, self.pids
        run.ready = name not in self.never_ready
        self._answer(name, run)

    def _down(self, name: str, run: Run) -> None:
        run.desired = "down"
        if not run.live and run.end is None:
            run.end = self._say(ReportExit, name, run.incarnation, run.attempt, unknown=True)
        elif not run.live:
            self._answer(name, run)
        elif name not in self.hangs:
            self.end(name, signal="TERM")

    def _answer(self, name: str, run: Run) -> None:
        if run.live:
            boot = f"boot-{self.boot}"
            self._say(ReportStarted, name, run.incarnation, run.attempt, boot_id=boot, pid=run.pid, start_ticks=run.pid)
            self._say(ReportProbe, name, run.incarnation, run.attempt, probe="readiness", passed=run.ready)
        elif run.end is not None:
            self.sequence += 1
            again = run.end.model_copy(update={"session": self.session, "sequence": self.sequence})
            self.world.report(name, again)

    def end(self, name: str, **how: Any) -> None:
        """Let a process end."""
        run = self.runs[name]
        run.live = False
        run.end = self._say(ReportExit, name, run.incarnation, run.attempt, **how)

    def end_unseen(self, name: str) -> None:
        """Let a process vanish without any report."""
        run = self.runs[name]
        run.live, run.end = False, None

    def make_ready(self, name: str) -> None:
        """Let a process pass its readiness probe from now on."""
        self.never_ready.discard(name)
        run = self.runs[name]
        run.ready = True
        self._answer(name, run)

    def sicken(self, name: str) -> None:
        """Let a process fail its liveness probe."""
        run = self.runs[name]
        self._say(ReportProbe, name, run.incarnation, run.attempt, probe="liveness", passed=False, message="no answer")

    def exceed(self, name: str) -> None:
        """Let a process use more memory than it may."""
        run = self.runs[name]
        self._say(ReportLimit, name, run.incarnation, run.attempt, limit="rss_mb", value=300, bound=200)

    def local_restart(self, name: str) -> None:
        """Let a process die and be restarted by the host itself, as it does while the log is away."""
        run = self.runs[name]
        self._say(ReportExit, name, run.incarnation, run.attempt, code=1, restarting=True)
        run.attempt += 1
        self._spawn(name, run)

    def restart_agent(self) -> None:
        """Let the agent die and come back: it adopts what runs."""
        self.session, self.sequence = self.session + 1, 0
        for name, run in self.runs.items():
            self._answer(name, run)
        self.inventory()

    def reboot(self) -> None:
        """Let the machine start anew: nothing runs."""
        self.session, self.sequence, self.boot = self.session + 1, 0, self.boot + 1
        for name, run in self.runs.items():
            if run.live:
                self.end(name, unknown=True, seen="reboot")
        self.inventory()

    def inventory(self) -> None:
        """Send what runs."""
        self.sequence += 1
        self.send_inventory({name: run.incarnation for name, run in self.runs.items() if run.live})

    def send_inventory(self, running: dict[str, int]) -> None:
        """Send an inventory of the newest sequence."""
        self.world.send(
            f"host/{self.name}",
            ReportInventory(
                fleet=FLEET, session=self.session, sequence=self.sequence, boot_id=f"boot-{self.boot}", running=running
            ),
            f"agent/{self.name}",
        )

    def _say(self, kind: Any, name: str, incarnation: int, attempt: int, **fields: Any) -> Any:
        self.sequence += 1
        report = kind(
            host=self.name,
            incarnation=incarnation,
            attempt=attempt,
            session=self.session,
            sequence=self.sequence,
            **fields,
        )
        self.world.report(name, report)
        return report
