"""The agent of one fleet on this host: executes the log's commands, and tells the log what happens."""

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import structlog

from ...core.log.port import Log
from ...core.runtime.outbox import follow
from ...core.runtime.schema_store import SchemaStore
from ...schemas import Contract, Envelope, Message, derived_id, new_id
from ...schemas.component_reports import (
    ComponentCommand,
    ComponentHeartbeat,
    ReportExit,
    ReportLimit,
    ReportProbe,
    ReportStarted,
    ReportStartFailed,
    RunHook,
)
from ...schemas.fleet import ComponentSpec
from ...schemas.host import RenewLease, ReportInventory
from ..host import ComponentState, Exited, Fact, Host, HostCommand, Inventory, RestartBudget, StartFailed, state_folder
from ..host.sampling import MEGABYTE
from ..host.tasks import begin
from .binding import Binding
from .courier import Courier, Parcel
from .hooks import Hooks
from .leases import Leases
from .position import Position
from .reports import Stamp, answers, live, report, report_id, was_commanded
from .spool import Spool

logger = structlog.get_logger("hms.agent")
PERIOD_MS: Final = 5_000
HURRIES: Final = 20
"""So many times a period an inventory is sent while something waits for a lease to start."""
HOOKS_S: Final = 2.0
TYPES: Final[tuple[type[Message[Any]], ...]] = (
    ComponentCommand,
    ComponentHeartbeat,
    RenewLease,
    ReportExit,
    ReportInventory,
    ReportLimit,
    ReportProbe,
    ReportStarted,
    ReportStartFailed,
    RunHook,
)


class HostAgent:
    """The participant `agent/HOST`. `open` it, `connect` it to a log, `close` it; the processes live on."""

    host: Host

    def __init__(self, fleet: str, folder: Path, period_ms: int) -> None:
        """Use `open` instead."""
        self.fleet = fleet
        self._period_ms = period_ms
        self._leases = Leases()
        self._folder = folder
        self._spool = Spool(folder / "spool.jsonl")
        self._hooks = Hooks(folder / "hooks")
        self._courier: Courier
        self._early: list[Fact] = []
        self._position: Position | None = None
        self._causes: dict[str, Envelope] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._listening: asyncio.Task[None] | None = None
        self._log_given_up = False
        self.on_own_restart: Callable[[Exited | StartFailed], None] = lambda _: None
        """Told at once of what the host restarts by itself: its report has to wait for the log."""

    @classmethod
    async def open(
        cls, fleet: str, *, state: str | Path | None = None, name: str = "", period_ms: int = PERIOD_MS
    ) -> "HostAgent":
        """Become the one agent of this fleet here, and adopt what still runs.

        `name` is what the fleet calls this host (left out: its lasting id). It is silent after three periods.

        Raises:
            HostBusy: Another agent has this fleet.

        """
        agent = cls(fleet, state_folder(state) / "fleets" / fleet, period_ms)
        agent.host = await Host.open(fleet, agent._tell, state=state, name=name)
        agent._courier = Courier(
            agent.address,
            agent._spool,
            on_away=agent.host.log_away,
            on_back=agent._log_back,
            on_delivered=agent.host.delivered,
        )
        for fact in (*agent._spool.load(), *agent._early):
            agent._put(fact)
        return agent

    @property
    def address(self) -> str:
        """The participant's address."""
        return f"agent/{self.host.id}"

    @property
    def log_away(self) -> bool:
        """Whether the log does not take what the agent has to tell, or somebody found that it does not answer."""
        return self._courier.away or self._log_given_up

    def give_log_up(self) -> None:
        """Wait for the log no longer: what it has not taken is kept on disk."""
        self._log_given_up = True

    async def connect(self, log: Log, binding: Binding) -> None:
        """Begin to execute commands and to report. Raises `LogUnreachable`."""
        contract = Contract()
        for cls in TYPES:
            contract.register(cls, cls.explicit_type or f"hms.{cls.__name__}")
        schemas = SchemaStore(log, contract)
        await schemas.publish()
        self._position = Position(self._folder / "outbox.json", binding.log_id)
        start = await self._position.start(log, self.address)
        self._send_inventory(connected=True)
        self._courier.start(log, schemas)
        self._listening = begin(self._listen(log, schemas, start), "agent: commands")
        self._tasks = [begin(self._repeat(), "agent: inventory")]

    async def stop_here(self, waves: Iterable[Iterable[str]]) -> None:
        """Stop everything by this host's own decision, wave by wave, log or no log; commands are no longer obeyed."""
        await self._stop_listening()
        waves = [tuple(wave) for wave in waves]
        known = {name for wave in waves for name in wave}
        strays = tuple(state.component for state in self.host.inventory().components if state.component not in known)
        await self.host.stop_in_waves([strays, *waves])

    async def kill_here(self) -> None:
        """Kill everything at once, log or no log; commands are no longer obeyed."""
        await self._stop_listening()
        await self.host.kill_all()

    def running(self) -> dict[str, int]:
        """Return the incarnation of every component that has, or is about to have, a process here."""
        return _running(self.host.inventory())

    async def disconnect(self, patience_s: float = 1.0) -> None:
        """End the talk with the log; what it does not take within the patience is kept on disk for the next agent."""
        await self._stop_listening()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._courier.wait_idle(0.0 if self.log_away else patience_s)
        await self._courier.close()
        self._save_position()

    async def close(self) -> None:
        """End, and let another agent in; the processes live on."""
        await self.disconnect(patience_s=0.0)
        await self._hooks.close(HOOKS_S)
        await self.host.close()

    # --- out ----------------------------------------------------------------------------------------------------

    def _tell(self, fact: Fact) -> None:
        if isinstance(fact, Exited | StartFailed) and fact.restarting:
            self.on_own_restart(fact)
        if hasattr(self, "_courier"):
            self._put(fact)
        else:
            self._early.append(fact)

    def _put(self, fact: Fact) -> None:
        cause = self._causes.get(fact.component) if was_commanded(fact) else None
        parcel = Parcel(report_id(fact), f"component/{fact.component}", report(fact), fact.at, fact=fact)
        self._courier.put(_caused(parcel, cause))

    def _send_inventory(self, *, connected: bool = False) -> None:
        session, sequence = self.host.number()
        self._leases.ask(session, sequence)
        inventory = ReportInventory(
            fleet=self.fleet,
            session=session,
            sequence=sequence,
            boot_id=self.host.boot_id,
            period_ms=self._period_ms,
            connected=connected,
            running=self.running(),
        )
        self._send(f"host/{self.host.id}", inventory)

    def _send_heartbeats(self) -> None:
        samples = self.host.samples()
        for state in self.host.inventory().components:
            sample = samples.get(state.component)
            if state.phase == "running" and sample is not None:
                beat = ComponentHeartbeat(
                    incarnation=state.running_incarnation,
                    pid=state.pid,
                    cpu_percent=round(sample.cpu_percent, 1),
                    rss_mb=round(sample.rss_bytes / MEGABYTE, 1),
                )
                now_us = time.time_ns() // 1_000
                self._courier.put(Parcel(new_id(now_us), f"component/{state.component}", beat, now_us, priority="low"))

    def _send(self, to: str, message: Message[Any]) -> None:
        now_us = time.time_ns() // 1_000
        self._courier.put(Parcel(new_id(now_us), to, message, now_us))

    def _log_back(self) -> None:
        self.host.log_back()
        self._send_inventory(connected=True)

    async def _repeat(self) -> None:
        while True:
            await self._pass_period()
            self._send_inventory()
            if not self.log_away:
                self._send_heartbeats()
            self._save_position()

    async def _pass_period(self) -> None:
        """Wait for the next period; ask for leases meanwhile, while something cannot start without."""
        for _ in range(HURRIES):
            await asyncio.sleep(self._period_ms / 1_000 / HURRIES)
            if self.host.leaseless and not self.log_away:
                self._send_inventory()

    # --- in -----------------------------------------------------------------------------------------------------

    async def _listen(self, log: Log, schemas: SchemaStore, start: int) -> None:
        async for (envelope, record), position in follow(log, schemas, self.address, start):
            try:
                await self._obey(envelope, record)
            except OSError as error:  # a full disk: a command that is not journalled is not executed, it comes again
                logger.warning("command_not_journalled", type=envelope.type, id=envelope.id, error=str(error))
            if self._position is not None:
                self._position.reach(position)

    async def _obey(self, envelope: Envelope, record: object) -> None:
        match record:
            case ComponentCommand():
                await self._command(envelope, record)
            case RenewLease():
                self._renew(record)
            case RunHook():
                self._hooks.run(record)
            case _:
                logger.warning("command_not_understood", type=envelope.type, id=envelope.id)

    async def _command(self, envelope: Envelope, command: ComponentCommand) -> None:
        news = await self.host.obey(self._host_command(command))
        if news:
            self._causes[command.component] = envelope
        state = self._state(command.component)
        on_its_way = news and command.desired == "down" and state is not None and live(state) == command.incarnation
        if not on_its_way:
            self._answer(envelope, command, state)

    def _renew(self, renewal: RenewLease) -> None:
        for component, incarnation in renewal.components.items():
            spec = self.host.spec(component)
            lease = None if spec is None else self._leases.granted(renewal, spec.stop.grace_ms)
            if lease is not None:
                self.host.renew(component, incarnation, lease)

    def _answer(self, envelope: Envelope, command: ComponentCommand, state: ComponentState | None) -> None:
        stamp = Stamp(self.host.id, *self.host.number())
        for answer in answers(command, state, stamp):
            # Derived from the command's own: a command that is read twice is answered once.
            id_ = derived_id(self.address, envelope.id, type(answer).__name__)
            parcel = Parcel(id_, f"component/{command.component}", answer, time.time_ns() // 1_000)
            self._courier.put(_caused(parcel, envelope))

    def _state(self, component: str) -> ComponentState | None:
        components = self.host.inventory().components
        return next((state for state in components if state.component == component), None)

    def _host_command(self, command: ComponentCommand) -> HostCommand:
        return HostCommand(
            component=command.component,
            incarnation=command.incarnation,
            desired="up" if command.desired == "up" else "down",
            spec=command.spec or self.host.spec(command.component) or _nothing(command.component),
            spec_hash=command.spec_hash,
            budget=RestartBudget(count=command.budget_count, window_ms=max(1, command.budget_window_ms)),
            revision=command.revision,
            kill=command.kill,
            leased=command.leased,
            hold_ms=command.hold_ms,
        )

    async def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    def _save_position(self) -> None:
        if self._position is not None:
            try:
                self._position.save()
            except OSError as error:
                logger.warning("position_not_written", error=str(error))


def _running(inventory: Inventory) -> dict[str, int]:
    found = {state.component: live(state) for state in inventory.components}
    return {component: incarnation for component, incarnation in found.items() if incarnation is not None}


def _nothing(component: str) -> ComponentSpec:
    """Return the specification that a stop of what is not known here needs."""
    return ComponentSpec(id=component, command=("false",))


def _caused(parcel: Parcel, cause: Envelope | None) -> Parcel:
    if cause is None:
        return parcel
    return parcel._replace(correlation_id=cause.correlation_id, causation_id=cause.id)
