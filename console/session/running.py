"""A supervised fleet in this process: the agent of this host, a node, and a connection to ask."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import structlog

from ...actors.agent import HostAgent, bind, binding_of, claim_name, name_of_home
from ...actors.agent.agent import PERIOD_MS
from ...actors.agent.binding import check
from ...actors.fleet import waves
from ...actors.host.host_id import host_id, state_folder
from ...actors.well_known import ANALYSIS_SUPERVISOR, RUNTIME_SUPERVISOR
from ...core.address import Address
from ...core.app import App
from ...core.client import Client, connect
from ...core.errors import HmsError, OutsideError, Refused
from ...core.log.open import open_log
from ...core.log.port import Log
from ...core.runtime.node import Node
from ...core.user_name import user_name
from ...schemas.administrative import StartSupervision, StopSupervision
from ...schemas.component import ComponentStatus, DescribeComponent
from ...schemas.fleet import FleetSpec
from ...schemas.fleet_messages import ApplyFleet, DescribeFleet, FleetStatus, StopFleet
from .beside import beside

logger = structlog.get_logger("hms.up")
MOMENT_MS: Final = 2_000
"""A log or a node that does not answer within this is not waited for when something has to stop."""
CLOSE_S: Final = 5.0
CLOSE_AWAY_S: Final = 0.5
POLL_S: Final = 0.05
SUPERVISORS: Final = (RUNTIME_SUPERVISOR, ANALYSIS_SUPERVISOR)
"""They live as long as the fleet runs."""


class FleetRun:
    """Made by `open`. Stopping works with the log and without it."""

    def __init__(self, fleet: str, agent: HostAgent, log: Log, node: Node, client: Client) -> None:
        """Use `open` instead."""
        self.fleet = fleet
        self.agent = agent
        self.log = log
        self.node = node
        self.client = client
        self.spec: FleetSpec | None = None
        self._address = Address[ApplyFleet | StopFleet | DescribeFleet](f"fleet/{fleet}")

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        fleet: str,
        url: str,
        apps: Sequence[App],
        *,
        state: Path | None = None,
        name: str = "",
        period_ms: int = PERIOD_MS,
        archive: str | None = None,
        witness: str | None = None,
    ) -> "AsyncIterator[FleetRun]":
        """Take the fleet on this host, adopt what still runs, and run a node on the log.

        `name` is what the fleet calls this host (left out: what it was called before, else its lasting id); `archive` is
        where the node archives its shards, if anywhere; `witness` is told every checkpoint that it signs.

        Raises:
            HostBusy: Another process supervises this fleet here.
            LogBoundElsewhere: The log is another fleet's or host's.
            LogUnreachable: The log did not answer.

        """
        log = await open_log(url)
        patience_s = CLOSE_S
        try:
            name = name or await name_of_home(log, host_id(state_folder(state)))
            await _check_binding(log, fleet, name, state)
            agent = await HostAgent.open(fleet, state=state, name=name, period_ms=period_ms)
            try:
                async with _supervised(fleet, agent, log, apps, archive, witness) as run:
                    yield run
            finally:
                patience_s = _patience_s(agent)
                await _within(CLOSE_S, agent.close(), "agent")
        finally:
            await _within(patience_s, log.close(), "log")

    async def apply(self, spec: FleetSpec) -> FleetStatus:
        """Make the fleet what the file says; acts on the difference. Raises `Refused`, `AskTimedOut`, `LogUnreachable`."""
        message = ApplyFleet(spec=spec, host=self.agent.host.id, who=user_name())
        status = await self.client.ask(self._address, message, priority="high")
        self.spec = spec
        return status

    async def statuses(self) -> list[ComponentStatus]:
        """Return what the components' actors say, of those that answer."""
        names = [spec.id for spec in self.spec.components] if self.spec else []
        found = await asyncio.gather(*(self._status(name) for name in names), return_exceptions=True)
        return [status for status in found if isinstance(status, ComponentStatus)]

    async def _status(self, name: str) -> ComponentStatus:
        return await self.client.ask(Address[DescribeComponent](f"component/{name}"), DescribeComponent())

    # --- the end ------------------------------------------------------------------------------------------------

    async def stop(self, reason: str, timeout_s: float) -> None:
        """Stop everything in reverse order of dependency; what is left after the timeout is killed.

        The supervisors do it; where the log or they do not answer within a moment, the agent does it by itself.
        """
        try:
            async with asyncio.timeout(timeout_s):
                if not await self._stopped_by_supervisors(reason):
                    logger.warning("stopping_without_the_log", fleet=self.fleet)
                    self.agent.give_log_up()
                    await self.agent.stop_here(self._waves())
                await self._stop_strays()
        except TimeoutError:
            logger.warning("killing", fleet=self.fleet, after_s=timeout_s)
            await self.kill()

    async def kill(self) -> None:
        """Kill everything at once."""
        await self.agent.kill_here()

    async def _stop_strays(self) -> None:
        if self.agent.running():
            await self.agent.stop_here(self._waves())

    async def _stopped_by_supervisors(self, reason: str) -> bool:
        try:
            message = StopFleet(reason=reason)
            status = await self.client.ask(self._address, message, timeout_ms=MOMENT_MS, priority="high")
            while status.phase == "stopping":
                await asyncio.sleep(POLL_S)
                if self.agent.log_away:
                    return False
                status = await self.client.ask(self._address, DescribeFleet(), timeout_ms=MOMENT_MS, priority="high")
        except (OutsideError, Refused) as error:
            logger.warning("supervisors_do_not_answer", error=str(error))
            return False
        return True

    def _waves(self) -> tuple[tuple[str, ...], ...]:
        return waves(self.spec.components)[::-1] if self.spec else ()


async def _check_binding(log: Log, fleet: str, name: str, state: Path | None) -> None:
    """Refuse a log of another fleet or host before anything is written on this one; take the name, if there is one."""
    bound = await binding_of(log)
    id_ = host_id(state_folder(state))
    if bound is not None:
        check(bound, log.url, fleet, name or id_)
    if name:
        await claim_name(log, name, id_)


@asynccontextmanager
async def _supervised(
    fleet: str, agent: HostAgent, log: Log, apps: Sequence[App], archive: str | None, witness: str | None
) -> AsyncIterator[FleetRun]:
    host = agent.host.id
    binding = await bind(log, fleet, host)
    # Always the same name: after a crash the node takes its own shards over at once, instead of waiting for a lease to end.
    name = f"up-{fleet}@{host}"
    also = beside(log, name, archive, witness)
    node = Node(log, apps, name=name, history=also.history, duties=also.duties)
    await node.start()
    try:
        async with connect(log, name=f"{user_name()}@{host}/{os.getpid()}") as client:
            await agent.connect(log, binding)
            for supervisor in SUPERVISORS:
                await client.tell(supervisor, StartSupervision())
            yield FleetRun(fleet, agent, log, node, client)
            with suppress(HmsError, TimeoutError):
                async with asyncio.timeout(_patience_s(agent)):
                    for supervisor in SUPERVISORS:
                        await client.tell(supervisor, StopSupervision(reason="hms up ends"))
            await agent.disconnect()
    finally:
        await _within(_patience_s(agent), node.stop(), "node")


def _patience_s(agent: HostAgent) -> float:
    """Return how long one part of the end may take: with a log that is away, no end is worth waiting for."""
    return CLOSE_AWAY_S if agent.log_away else CLOSE_S


async def _within(seconds: float, work: Awaitable[None], what: str) -> None:
    """Let the end of one part take its time, but not hold up the end of the others."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        logger.warning("end_not_waited_for", part=what, after_s=seconds)
