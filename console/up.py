"""`hms up`: supervise the processes of a fleet file until Ctrl-C."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..actors.agent import binding_of
from ..actors.agent.agent import PERIOD_MS
from ..actors.agent.binding import LogBoundElsewhere
from ..actors.fleet import plan, read_fleet
from ..actors.host import HostBusy
from ..core.app import App
from ..core.errors import HmsError
from ..core.log.port import Log
from ..core.runtime.collector import relax
from ..core.runtime.view import View
from ..schemas.fleet import FleetSpec
from .cli.archive_options import DutyOption
from .cli.audit_options import WitnessOption
from .cli.exit_codes import Exit, Stop
from .cli.log_address import log_file
from .cli.opened import quiet, reading
from .cli.options import DEFAULTS, HeartbeatOption, Options
from .cli.show import say, show_one, write
from .session import Board, FleetRun, follow_events, line_of, load_apps
from .session.lasting_output import outlive_output
from .session.news import cursor_now, own_restart
from .session.screen import Screen, screen_for

FileOption = Annotated[Path, Parameter(name=("--file", "-f"), help="The fleet file (YAML)")]
PlanOption = Annotated[bool, Parameter(help="Show what the file would change, and change nothing")]
TimeoutOption = Annotated[float, Parameter(help="Seconds after which what has not stopped is killed")]
AppOption = Annotated[tuple[str, ...], Parameter(name="--app", help="An app of yours to run too, as MODULE:ATTRIBUTE")]
HostOption = Annotated[str, Parameter(help="Which of the file's hosts this one is", show_default="as before")]


def up(
    *,
    file: FileOption,
    plan: PlanOption = False,
    stop_timeout: TimeoutOption = 60.0,
    app: AppOption = (),
    host: HostOption = "",
    heartbeat_ms: HeartbeatOption = PERIOD_MS,
    archive: DutyOption = None,
    witness: WitnessOption = None,
    options: Options = DEFAULTS,
) -> int:
    """Supervise the processes of a fleet file.

    Ctrl-C (or TERM) stops them in reverse order of dependency, a second one kills them. HUP reads the file again and
    applies the difference. Killed itself (SIGKILL), it leaves them running, and the next `hms up` takes them over. What
    the file places on other hosts runs under their `hms agent`. Exit code 10 says that a component had been given up.
    """
    if not plan:
        outlive_output()
    quiet()
    spec = read_fleet(file)
    relax()
    if plan:
        return asyncio.run(_show_plan(spec, options))
    _check_host(host, spec, file)
    try:
        return asyncio.run(
            Up(file, spec, load_apps(app), stop_timeout, options, host, heartbeat_ms, archive, witness).run()
        )
    except HostBusy as error:
        raise Stop(Exit.FAILED, str(error)) from error


def _check_host(host: str, spec: FleetSpec, file: Path) -> None:
    if host and host not in spec.hosts:
        known = ", ".join(spec.hosts) or "none"
        raise Stop(Exit.USAGE, f"--host {host}: expected one of the hosts of {file}, which are: {known}")


async def _show_plan(spec: FleetSpec, options: Options) -> int:
    path = log_file(options.url)
    if path is not None and not path.exists():
        current = None
    else:
        async with reading(options.url) as log:
            await _check_binding(log, spec.fleet)
            current = await _current(log, spec.fleet)
    difference = plan(current, spec)
    if options.form == "text":
        for line in difference.render():
            write(line)
    else:
        show_one(difference.as_json(), options.form)
    return Exit.OK


async def _check_binding(log: Log, fleet: str) -> None:
    bound = await binding_of(log)
    if bound is not None and bound.fleet != fleet:
        raise LogBoundElsewhere(
            f"{log.url} holds the fleet {bound.fleet!r}, expected {fleet!r}; "
            f"use the file of {bound.fleet!r}, or another log (--log URL)"
        )


async def _current(log: Log, fleet: str) -> FleetSpec | None:
    seen = await View(log, load_apps(())).actor(f"fleet/{fleet}")
    spec: FleetSpec | None = None if seen is None else seen.state.spec
    return spec


class Up:
    """One `hms up`, from its start to its exit code."""

    def __init__(
        self,
        file: Path,
        spec: FleetSpec,
        apps: tuple[App, ...],
        stop_timeout_s: float,
        options: Options,
        host: str,
        heartbeat_ms: int,
        archive: str | None = None,
        witness: str | None = None,
    ) -> None:
        self._file = file
        self._spec = spec
        self._apps = apps
        self._stop_timeout_s = stop_timeout_s
        self._options = options
        self._host = host
        self._heartbeat_ms = heartbeat_ms
        self._archive = archive
        self._witness = witness
        self._board = Board()
        self._screen: Screen = screen_for(options.form, self._board, spec.fleet)
        self._ending = asyncio.Event()
        self._killing = asyncio.Event()
        self._reloading: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> int:
        """Supervise until somebody ends it; return the exit code."""
        self._on_signal(signal.SIGINT, self._end)
        self._on_signal(signal.SIGTERM, self._end)
        self._on_signal(signal.SIGHUP, lambda: None)  # the file is being read just now
        opening = FleetRun.open(
            self._spec.fleet,
            self._options.url,
            self._apps,
            name=self._host,
            period_ms=self._heartbeat_ms,
            archive=self._archive,
            witness=self._witness,
        )
        async with opening as fleet:
            self._on_signal(signal.SIGHUP, lambda: self._reload_soon(fleet))
            telling = asyncio.create_task(self._tell(fleet, await cursor_now(fleet.log)), name="news")
            try:
                with self._screen:
                    await self._begin(fleet)
                    await self._wait_ending(telling)
                    await self._stop(fleet)
                    await self._screen.wait_quiet()
            finally:
                telling.cancel()
                await asyncio.gather(telling, *self._reloading, return_exceptions=True)
        return self._verdict()

    async def _begin(self, fleet: FleetRun) -> None:
        fleet.agent.on_own_restart = lambda end: self._screen.say(own_restart(end))
        adopted = fleet.agent.running()
        self._board.keep_only(self._spec.components)
        if adopted:
            self._screen.say(f"took over {len(adopted)} running: {', '.join(sorted(adopted))}")
        applying = asyncio.ensure_future(fleet.apply(self._spec))
        ending = asyncio.ensure_future(self._ending.wait())
        await asyncio.wait({applying, ending}, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if not applying.done():
            applying.cancel()
            fleet.spec = self._spec
            return
        await applying
        for status in await fleet.statuses():
            self._board.take(status)
        for name in self._board.given_up:
            self._screen.say(f"{name} is given up: {self._board.rows[name].note}; hms component reset {name}")

    async def _wait_ending(self, telling: "asyncio.Task[None]") -> None:
        """Wait for a signal; a bug in telling the news ends `hms up` loudly, and the components run on."""
        ending = asyncio.ensure_future(self._ending.wait())
        done, _ = await asyncio.wait({ending, telling}, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if telling in done:
            await telling

    async def _tell(self, fleet: FleetRun, cursor: str) -> None:
        async for recorded in follow_events(fleet.client, cursor):
            self._board.note(recorded)
            self._screen.tell(recorded, line_of(recorded))

    # --- the end ------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        if not self._ending.is_set():
            self._screen.say("stopping; once more kills")
            self._ending.set()
        else:
            self._killing.set()

    async def _stop(self, fleet: FleetRun) -> None:
        stopping = asyncio.ensure_future(fleet.stop("hms up ends", self._stop_timeout_s))
        killing = asyncio.ensure_future(self._killing.wait())
        await asyncio.wait({stopping, killing}, return_when=asyncio.FIRST_COMPLETED)
        killing.cancel()
        if not stopping.done():
            self._screen.say("killing")
            stopping.cancel()
            await asyncio.gather(stopping, return_exceptions=True)
            await fleet.kill()
            return
        await stopping

    def _verdict(self) -> int:
        for name in self._board.given_up:
            say(f"hms: {name} was given up: {self._board.rows[name].note}")
        return Exit.UNHEALTHY if self._board.given_up else Exit.OK

    # --- the file again -----------------------------------------------------------------------------------------

    def _reload_soon(self, fleet: FleetRun) -> None:
        task = asyncio.ensure_future(self._reload(fleet))
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)

    async def _reload(self, fleet: FleetRun) -> None:
        async with self._one_at_a_time:
            await self._apply_file(fleet)

    async def _apply_file(self, fleet: FleetRun) -> None:
        try:
            spec = read_fleet(self._file)
            for line in plan(self._spec, spec).render():
                self._screen.say(line)
            await fleet.apply(spec)
        except HmsError as error:
            self._screen.say(f"the file is not applied, all stays as it was:\n{error}")
            return
        self._spec = spec
        self._board.keep_only(spec.components)

    @staticmethod
    def _on_signal(number: signal.Signals, act: Callable[[], None]) -> None:
        asyncio.get_running_loop().add_signal_handler(number, act)
