"""A log, nodes and clients in virtual time, for tests of whole apps: `play(scenario)` runs one in milliseconds.

async def scenario(world: VirtualWorld) -> None:
    await world.start_node(app)
    bank = await world.connect("teller")
    await bank.tell(account("anna"), Deposit(cents=100))
    await asyncio.sleep(3_600)      # an hour, at once
"""

from collections.abc import Callable, Coroutine
from contextvars import copy_context
from dataclasses import dataclass
from random import Random
from typing import Any

from ...schemas import Contract, Record
from ..app import App
from ..client import Client
from ..log.port import Stored
from ..log.simulated import Faults, SimulatedBroker
from ..runtime.installed import Behaviours
from ..runtime.node import Node
from ..runtime.shard_options import ShardOptions
from .virtual_clock import VirtualClock
from .virtual_loop import VirtualLoop, new_loop

Scenario = Callable[["VirtualWorld"], Coroutine[Any, Any, None]]


@dataclass
class NodeProcess:
    """A node that runs as a process of its own in the virtual world."""

    name: str
    node: Node
    clock: VirtualClock
    """Its own: set `offset_us` to make its wall clock wrong."""
    world: "VirtualWorld"
    killed: bool = False

    def kill(self) -> None:
        """End it as SIGKILL does, between two steps: not even its `finally` blocks run."""
        self.killed = True
        self.world.loop.stop_process(self.name)
        self.world.broker.crash(self.name)

    def stop(self) -> None:
        """Stop it as SIGSTOP does; its lease runs out."""
        self.world.loop.stop_process(self.name)
        self.world.broker.pause(self.name)

    def go_on(self) -> None:
        """Let it go on, if it was not killed meanwhile; it does not know that it was away."""
        if self.killed:
            return
        self.world.broker.resume(self.name)
        self.world.loop.continue_process(self.name)


class VirtualWorld:
    """A simulated log on a virtual loop; one seed gives one history."""

    def __init__(
        self, seed: int = 0, *, partitions: int = 1, faults: Faults | None = None, lease_ms: int = 1_000
    ) -> None:
        self.loop: VirtualLoop = new_loop(Random(f"loop {seed}"))  # noqa: S311 - a simulation, not a secret
        self.clock = VirtualClock(self.loop)
        self.broker = SimulatedBroker(
            partitions,
            clock=self.clock,
            random=Random(f"broker {seed}"),  # noqa: S311
            faults=faults,
            lease_ms=lease_ms,
        )
        self._random = Random(f"ids {seed}")  # noqa: S311

    async def start_node(
        self,
        *apps: App,
        name: str = "node",
        options: ShardOptions | None = None,
        behaviours: Behaviours | None = None,
    ) -> NodeProcess:
        """Start a node and return it when it is a member; `name` must differ from those of earlier runs.

        `behaviours`, instead of apps, is what was made of them already: many worlds may share it.
        """
        clock = VirtualClock(self.loop)
        node = Node(self.broker.connect(name), behaviours or apps, name=name, clock=clock, options=options)
        with self.loop.process(name):
            await self.loop.create_task(node.start())
        return NodeProcess(name, node, clock, self)

    async def connect(self, name: str = "test", *, contract: Contract | None = None) -> Client:
        """Return a connected client; its source is `client/NAME`. Many worlds may share a contract."""
        log = self.broker.connect(f"client {name}")
        client = Client(log, name, self.clock, random=self._random.randbytes, contract=contract)
        await client.start()
        return client

    def stored(self, topic: str, partition: int = 0) -> list[Stored]:
        """Return every committed record of a partition."""
        return self.broker.partition(topic, partition).read(0, 1 << 60).records

    def records(self, client: Client, topic: str, partition: int = 0) -> list[Record]:
        """Return every committed record of a partition, decoded with what a client knows."""
        decoded: list[Any] = [
            client.contract.decode(stored.value or b"").record for stored in self.stored(topic, partition)
        ]
        return decoded


def play(scenario: Scenario, seed: int = 0, **world: Any) -> None:
    """Run a scenario in a virtual world of its own (keywords: see `VirtualWorld`); raises what it raises."""
    here = VirtualWorld(seed, **world)
    copy_context().run(_play, here, scenario)


def _play(world: VirtualWorld, scenario: Scenario) -> None:
    try:
        world.loop.run_until_complete(scenario(world))
    finally:
        world.loop.close()
    if world.loop.failures:
        raise AssertionError(f"expected no task to fail unheard, got {world.loop.failures}")
