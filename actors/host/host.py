"""The host: all components of one fleet on one machine, told by commands and telling by facts."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...schemas.fleet import ComponentSpec
from . import host_id
from .agent_lock import AgentLock
from .command import HostCommand
from .facts import Fact, terminal
from .hosted import HostedComponent
from .inventory import ComponentState, Inventory
from .lag import Lag
from .process import Process
from .reporter import Reporter, Tell
from .runs import Run, RunState, runs_of
from .sampling import Sample, Sampler
from .shim import record
from .shim.lease import Lease
from .tasks import begin

SESSION = "session.json"


class Host:
    """One agent's whole knowledge of its processes; knows nothing of the log. Open it with `open`."""

    def __init__(self, fleet: str, folder: Path, lock: AgentLock, reporter: Reporter) -> None:
        """Use `open` instead."""
        self.fleet = fleet
        self.id = reporter.host
        self.boot_id = host_id.boot_id()
        self.away = False
        self._folder = folder
        self._lock = lock
        self._reporter = reporter
        self._lag = Lag()
        self._components: dict[str, HostedComponent] = {}
        self._samples: dict[str, Sample] = {}
        self._sampling: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, fleet: str, tell: Tell, *, state: str | Path | None = None, name: str = "", sample_ms: int = 1_000
    ) -> "Host":
        """Become the agent of this fleet on this host and adopt all that still runs.

        Facts go to `tell` from now on, first those about what ended while no agent ran. `name` is what the fleet calls
        this host, its lasting id if it has no name.

        Raises:
            HostBusy: Another agent has this fleet.

        """
        root = host_id.state_folder(state)
        folder = root / "fleets" / fleet
        lock = AgentLock(fleet, folder)
        called = name or host_id.host_id(root)
        host = cls(fleet, folder / "components", lock, Reporter(called, _next_session(folder), tell))
        try:
            host._folder.mkdir(exist_ok=True, mode=0o700)
            host._lag.start()
            await asyncio.gather(*(host._adopt(path) for path in sorted(host._folder.iterdir())))
        except BaseException:
            await host.close()
            raise
        host._sampling = begin(host._sample_for_ever(sample_ms / 1000), "sampling")
        return host

    async def obey(self, command: HostCommand) -> bool:
        """Journal and execute a command; False if it is not newer than the newest one executed here."""
        return await self._component(command.component).obey(command)

    def inventory(self) -> Inventory:
        """Return everything known now."""
        return Inventory(
            host=self.id,
            fleet=self.fleet,
            boot_id=self.boot_id,
            session=self._reporter.session,
            sequence=self._reporter.sequence,
            at=time.time_ns() // 1000,
            components=tuple(state for hosted in self._components.values() if (state := _state(hosted)) is not None),
        )

    def spec(self, component: str) -> ComponentSpec | None:
        """Return what the component was last commanded to be; None if it was never commanded here."""
        hosted = self._components.get(component)
        entry = hosted.journal.entry if hosted is not None else None
        return None if entry is None else entry.command.spec

    def renew(self, component: str, incarnation: int, lease: Lease) -> None:
        """Let that incarnation start, and run, until the lease is over."""
        if component in self._components:
            self._components[component].renew(incarnation, lease)

    @property
    def leaseless(self) -> bool:
        """Whether something waits for a lease."""
        return any(hosted.permit.leaseless for hosted in self._components.values())

    def number(self) -> tuple[int, int]:
        """Return (session, sequence) for something said beside the facts; later than all of them so far."""
        return self._reporter.session, self._reporter.count()

    def samples(self) -> dict[str, Sample]:
        """Return the newest sample of each running component."""
        return dict(self._samples)

    def latencies_ms(self, component: str) -> dict[str, float]:
        """Return how long the newest answer of each probe (startup, liveness, readiness) took."""
        return dict(self._components[component].vitals.latency_ms)

    def output(self, component: str) -> Path:
        """Return the file with the component's output; older ones end in .1, .2, ..."""
        return self._folder / component / "output.log"

    def log_away(self) -> None:
        """From now on restart within the granted budgets; what was told and not delivered is decided here."""
        self.away = True
        for hosted in self._components.values():
            hosted.reconsider()

    def log_back(self) -> None:
        """Leave restarts to the supervisors again; those already announced are still carried out."""
        self.away = False

    def delivered(self, fact: Fact) -> None:
        """Say that a fact is safe in the log: what was kept for it on disk may go."""
        if terminal(fact):
            run = Run.of(self._folder / fact.component, fact.incarnation, fact.attempt)
            run.mark_told()
            _tidy(self._folder / fact.component)

    async def stop(self, component: str) -> None:
        """Stop a component by local decision, log or no log; returns when nothing of it is left."""
        await self._components[component].stop()

    async def stop_in_waves(self, waves: Iterable[Iterable[str]]) -> None:
        """Stop wave after wave, each in parallel."""
        for wave in waves:
            await asyncio.gather(*(self.stop(name) for name in wave if name in self._components))

    async def kill_all(self) -> None:
        """Kill everything at once, also in the middle of stops."""
        await asyncio.gather(*(hosted.kill() for hosted in self._components.values()))

    async def forget(self, component: str) -> None:
        """Stop a component that left the fleet and delete all but its journal, which stays against old commands."""
        hosted = self._components[component]
        await hosted.stop()
        await hosted.close()
        del self._components[component]
        await asyncio.to_thread(_purge, self._folder / component)

    async def close(self) -> None:
        """End this agent; the components run on and will be adopted."""
        self._lag.close()
        if self._sampling is not None:
            self._sampling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sampling
        await asyncio.gather(*(hosted.close() for hosted in self._components.values()))
        self._lock.release()

    def _component(self, name: str) -> HostedComponent:
        if name not in self._components:
            hosted = HostedComponent(name, self._folder / name, self._reporter, self._lag, lambda: self.away)
            self._components[name] = hosted
            hosted.live()
        return self._components[name]

    async def _adopt(self, path: Path) -> None:
        hosted = HostedComponent(path.name, path, self._reporter, self._lag, lambda: self.away)
        if hosted.journal.entry is None:
            await _end_orphans(path)
            return
        _tidy(path)
        self._components[path.name] = hosted
        for run in runs_of(path):
            await hosted.displace()
            if run.state() is not RunState.PREPARED:
                await hosted.adopt(run)
        hosted.live()

    async def _sample_for_ever(self, period_s: float) -> None:
        sampler = Sampler()
        while True:
            roots = {
                hosted.name: hosted.process.shim_pid
                for hosted in self._components.values()
                if hosted.process and hosted.process.shim_pid
            }
            self._samples = await asyncio.to_thread(sampler.sample, roots, time.monotonic())
            for name, sample in self._samples.items():
                if name in self._components:
                    self._components[name].note(sample)
            await asyncio.sleep(period_s)


async def _end_orphans(component: Path) -> None:
    """Kill what runs without a journal (somebody deleted it): nobody knows what it is, and a start would double it."""
    for run in runs_of(component):
        if run.state() in {RunState.RUNNING, RunState.LOST}:
            process = await Process.adopt(run)
            await process.kill()
            await process.detach()


def _state(hosted: HostedComponent) -> ComponentState | None:
    entry = hosted.journal.entry
    if entry is None:
        return None
    known = ComponentState(
        component=hosted.name,
        incarnation=entry.command.incarnation,
        desired=entry.command.desired,
        spec_hash=entry.command.spec_hash,
        phase=hosted.phase,
        ready=hosted.vitals.ready,
        alive=hosted.vitals.alive,
        reason=hosted.vitals.reason,
        local_restarts=len(entry.restarted_at),
        trouble=hosted.trouble,
    )
    return known.model_copy(update={**_run_of(hosted), **_ending_of(hosted)})


def _run_of(hosted: HostedComponent) -> dict[str, Any]:
    if hosted.run is None:
        return {}
    run: dict[str, Any] = {"running_incarnation": hosted.run.incarnation, "attempt": hosted.run.attempt}
    identity = hosted.process.identity if hosted.process else None
    return run if identity is None else {**run, **identity._asdict()}


def _ending_of(hosted: HostedComponent) -> dict[str, Any]:
    ending = hosted.ending
    if ending is None:
        return {}
    identity = ("boot_id", "pid", "start_ticks", "started_at", "ended_at")
    same = (*identity, "code", "signal", "unknown", "oom", "fenced", "why")
    told = {name: getattr(ending, name) for name in same}
    reason = {"reason": ending.failed} if ending.failed is not None else {}
    return {**told, **reason, "last_output": ending.lines, "expected": hosted.expected, "seen": hosted.seen}


def _next_session(folder: Path) -> int:
    """Draw a number beyond those of earlier agents, also where they left no folder: of a machine that was replaced."""
    before = int((record.load(str(folder / SESSION)) or {"session": 0})["session"])
    number = max(before + 1, int(time.time()))
    record.store(str(folder), SESSION, {"session": number})
    return number


def _tidy(component: Path) -> None:
    """Delete runs whose end was delivered, but the newest."""
    if component.exists():
        for run in runs_of(component)[:-1]:
            if run.told():
                shutil.rmtree(run.folder, ignore_errors=True)


def _purge(component: Path) -> None:
    for run in runs_of(component):
        shutil.rmtree(run.folder, ignore_errors=True)
    for output in component.glob("output.log*"):
        output.unlink()
