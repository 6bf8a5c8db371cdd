"""A supervised fleet in a simulated world: HMS's own actors on nodes that die, and a host whose processes do.

The host is the model of `tests/unit/supervision`; its agent reads commands from the outbox and appends reports, late,
doubled and out of order.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any

from structlog.testing import capture_logs

from hms.actors.app import hms_app
from hms.core.client import Client
from hms.core.errors import OutsideError
from hms.core.log.port import EVENTS
from hms.core.log.simulated import Faults
from hms.core.runtime.installed import Behaviours
from hms.core.runtime.outbox import follow
from hms.core.runtime.wire import PROTOCOL_VERSION, message_draft
from hms.core.testing.virtual_loop import Stuck
from hms.core.testing.virtual_world import NodeProcess, VirtualWorld, play
from hms.schemas import Envelope, new_id, partition_of
from hms.schemas.component_events import ComponentGivenUp
from hms.schemas.fleet import Backoff, ComponentSpec, FleetSpec, GroupSpec, Probe, Probes
from hms.schemas.fleet_messages import ApplyFleet

from ..unit.supervision.processes import FLEET, HOST, Machine

AGENT = f"agent/{HOST}"
INVENTORY_S = 5
STORM_S = 12
CALM_S = 120
BYTES_MAX = 900_000


@lru_cache(1)
def behaviours() -> Behaviours:
    return Behaviours((hms_app,))


@dataclass
class Fleet:
    """One world: its host, what the storm did to it, and what is broken in the end."""

    world: VirtualWorld
    random: Random
    intensity: int
    client: Client | None = None
    machine: Machine = field(init=False)
    nodes: list[NodeProcess] = field(default_factory=list)
    reports: deque[tuple[str, Any]] = field(default_factory=deque)
    crashes: int = 0
    given_up: dict[str, str] = field(default_factory=dict)
    """Why a component was given up, by its name."""
    stale_reports: int = 0
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.machine = Machine(self)

    # --- what the host's model asks for -----------------------------------------------------------------------------

    def report(self, name: str, report: Any) -> None:
        """Send what the agent says of a component; some of it comes a second time, later."""
        self.send(f"component/{name}", report, AGENT)
        if self.random.random() < 0.3:
            self.stale_reports += 1
            late_s = self.random.choice((0.05, 0.5, 2, 5))
            self.world.loop.call_later(late_s, self.send, f"component/{name}", report, AGENT)

    def send(self, to: str, message: Any, sender: str) -> None:
        """Put a report behind the others."""
        assert sender == AGENT
        self.reports.append((to, message))

    # --- the agent --------------------------------------------------------------------------------------------------

    async def obey(self, client: Client) -> None:
        """Do what the log commands."""
        async for (_, command), _ in follow(client.log, client.schemas, AGENT, 0):
            self.machine.take(command)

    async def tell(self, client: Client) -> None:
        """Append the reports in order, each until it is known to be there."""
        while True:
            while self.reports:
                await self._append(client, *self.reports.popleft())
            await asyncio.sleep(0.01)

    async def _append(self, client: Client, to: str, report: Any) -> None:
        record_type = behaviours().contract.of(type(report))
        id_ = new_id(self.world.clock.wall_us(), self.random.randbytes)
        at_us = self.world.clock.wall_us()
        envelope = Envelope(id_, AGENT, to, record_type.name, at_us, id_, None, None, "high", None, PROTOCOL_VERSION)
        draft = message_draft(record_type, record_type.encode_body(report), envelope, client.log.partitions, BYTES_MAX)
        while True:
            try:
                await client.log.append([draft])
            except OutsideError:
                await asyncio.sleep(0.05)
            else:
                return

    async def take_stock(self) -> None:
        """Send the inventory every five seconds."""
        while True:
            self.machine.inventory()
            await asyncio.sleep(INVENTORY_S)

    # --- the storm --------------------------------------------------------------------------------------------------

    async def storm(self) -> None:
        """Let processes, nodes and the agent die for a while."""
        loop = asyncio.get_running_loop()
        end = loop.time() + STORM_S
        while loop.time() < end:
            await asyncio.sleep(self.random.uniform(0.05, 2))
            await self._strike()

    async def _strike(self) -> None:
        kind = self.random.choice(("process", "process", "process", "sick", "node", "zombie", "agent"))
        live = sorted(name for name, run in self.machine.runs.items() if run.live)
        if kind == "process" and live:
            self.crashes += 1
            self.machine.end(self.random.choice(live), signal="KILL")
        elif kind == "sick" and live:
            self.machine.sicken(self.random.choice(live))
        elif kind == "node":
            await self._replace_node()
        elif kind == "zombie":
            node = self.nodes[-1]
            node.stop()
            self.world.loop.call_later(self.random.uniform(0.5, 3), node.go_on)
        elif kind == "agent":
            self.machine.restart_agent()

    async def _replace_node(self) -> None:
        self.nodes.pop(0).kill()
        await self.start_node()

    async def start_node(self) -> None:
        number = len(self.nodes) + self.random.randrange(1 << 30)
        while True:
            try:
                name = f"node {number}"
                self.nodes.append(await self.world.start_node(name=name, behaviours=behaviours()))
            except OutsideError:
                number += 1
            else:
                return

    # --- the verdict ------------------------------------------------------------------------------------------------

    def state(self, name: str) -> Any:
        """Return what the owner of a component's shard knows of it."""
        address = f"component/{name}"
        number = partition_of(address, self.world.broker.partition_count)
        for node in self.nodes:
            shard = node.node.open_shards().get(number)
            if shard is not None and shard.statistics().epoch == self.world.broker.epochs[number]:
                cell = shard.memory.actors.get(address)
                return None if cell is None else cell.state
        return None

    def unsettled(self, spec: FleetSpec) -> str:
        """Say what is not yet as it should be: every component runs, once, as the log says, or was given up."""
        for component in spec.components:
            state, run = self.state(component.id), self.machine.runs.get(component.id)
            if state is None or run is None:
                return f"{component.id} has no owner or was never started"
            if state.given_up:
                if run.live:
                    return f"{component.id} was given up and lives"
            elif state.phase.kind != "running" or not run.live or state.incarnation != run.incarnation:
                return f"{component.id} is {state.phase!r} in incarnation {state.incarnation}; the host has {run}"
        return ""


def specification(random: Random, intensity: int) -> FleetSpec:
    strategy = random.choice(("one_for_one", "one_for_all", "rest_for_one"))
    groups = (GroupSpec(id="front", strategy=strategy, max_restarts=intensity, max_seconds=60),)
    components = tuple(
        ComponentSpec(
            id=name,
            group="front",
            command=("run", name),
            backoff=Backoff(first_ms=50, max_ms=500, jitter=0.2, stable_ms=1_000),
            probes=Probes(readiness=Probe(process=True)),
        )
        for name in ("a", "b", "c")[: random.randint(1, 3)]
    )
    return FleetSpec(fleet=FLEET, groups=groups, components=components)


async def live(fleet: Fleet, faults: Faults) -> None:
    """Let a fleet come up, the storm pass, and everything settle."""
    world = fleet.world
    for _ in range(2):
        await fleet.start_node()
    client = await world.connect("operator", contract=behaviours().contract)
    agent = await world.connect("agent", contract=behaviours().contract)
    tasks = [asyncio.ensure_future(each) for each in (fleet.obey(agent), fleet.tell(agent), fleet.take_stock())]
    spec = specification(fleet.random, fleet.intensity)
    await client.ask(hms_app.behaviours["fleet"](FLEET), ApplyFleet(spec=spec, host=HOST, who="test"))
    world.broker.faults = faults
    await fleet.storm()
    world.broker.faults = Faults()
    loop = asyncio.get_running_loop()
    end = loop.time() + CALM_S
    while left := fleet.unsettled(spec):
        if loop.time() > end:
            fleet.broken.append(f"never settled: {left}")
            break
        await asyncio.sleep(0.5)
    _judge(fleet, spec)
    for task in tasks:
        task.cancel()


def _judge(fleet: Fleet, spec: FleetSpec) -> None:
    if fleet.machine.doubled:
        fleet.broken.append(f"started over a process that lives: {fleet.machine.doubled[:2]}")
    loud = _given_up(fleet)
    for component in spec.components:
        state = fleet.state(component.id)
        if state is not None and state.given_up:
            fleet.given_up[component.id] = state.given_up
            if f"component/{component.id}" not in loud:
                fleet.broken.append(f"{component.id} was given up without an event")


def _given_up(fleet: Fleet) -> set[str]:
    """Return the actors that said so in an event."""
    stored = [
        each for number in range(fleet.world.broker.partition_count) for each in fleet.world.stored(EVENTS, number)
    ]
    decoded = [behaviours().contract.decode(each.value or b"") for each in stored]
    return {envelope.source for envelope, record in decoded if isinstance(record, ComponentGivenUp)}


def supervise(seed: int, *, intensity: int = 1_000) -> Fleet:
    """Run one world; return what became of the fleet."""
    random = Random(f"fleet {seed}")  # noqa: S311 - repeatable on purpose
    faults = Faults(
        append_duplicated=random.choice((0, 0.1)),
        append_ack_lost=random.choice((0, 0.1)),
        commit_ack_lost=random.choice((0, 0.05)),
        commit_aborted=random.choice((0, 0.05)),
        unreachable=random.choice((0, 0.01)),
        delay=random.choice((0, 0.05)),
    )
    fleets: list[Fleet] = []

    async def scenario(world: VirtualWorld) -> None:
        fleets.append(Fleet(world, random, intensity))
        await live(fleets[0], faults)

    try:
        with capture_logs():
            play(scenario, seed, partitions=2, lease_ms=500)
    except (Stuck, TimeoutError) as error:
        fleets[0].broken.append(f"stuck: {error}")
    return fleets[0]
