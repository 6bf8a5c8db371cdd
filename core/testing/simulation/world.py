"""One simulated world: a storm, then calm, then the evidence."""

import asyncio
from collections import Counter
from random import Random
from typing import NamedTuple

from ....schemas import partition_of
from ...errors import HistoryBroken
from ...log.port import CO_PARTITIONED, EVENTS, LANES
from ...log.simulated import Faults, SimulatedBroker
from ...runtime.fitness import APPS_SETTING
from ...runtime.shard import Shard
from ..virtual_clock import VirtualClock
from ..virtual_loop import Stuck, new_loop
from .clients import ClientProcess, Intruder
from .far_side import FarSide
from .plan import CLOCK_FAR, CLOCK_JUMP, CRASH, NEWCOMER, OUTDATED, ZOMBIE, Action, Plan
from .processes import NodeProcess

LEASE_MS = 300
STORM_MS_MAX = 8_000
CALM_MS_MAX = 120_000
LOOK_EVERY_MS = 50


class Note(NamedTuple):
    """One line of the trace."""

    at_ms: int
    who: str
    what: str


class World:
    """Everything there is in one simulated world; `run` lets it happen."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.random = Random(f"world {plan.seed}")  # noqa: S311 - a simulation, not a secret
        self.loop = new_loop(Random(f"loop {plan.seed}"))  # noqa: S311
        self.clock = VirtualClock(self.loop)
        self.broker = SimulatedBroker(
            plan.partitions,
            clock=self.clock,
            random=Random(f"broker {plan.seed}"),  # noqa: S311
            faults=plan.faults,
            lease_ms=LEASE_MS,
        )
        self.far_side = FarSide(Random(f"far side {plan.seed}"), self._log_end_of)  # noqa: S311
        self.struck: Counter[str] = Counter()
        self.trace: list[Note] = []
        self.calm = False
        self.over = False
        self.processes: list[NodeProcess] = []
        self.clients: list[ClientProcess] = []
        self.intruder = Intruder(self)

    def note(self, who: str, what: str) -> None:
        """Add a line to the trace."""
        self.trace.append(Note(self.loop.now_ms, who, what))

    def _log_end_of(self, actor: str) -> int:
        return self.broker.partition(EVENTS, partition_of(actor, self.plan.partitions)).high

    @property
    def strikes(self) -> Counter[str]:
        """How often each fault struck, the log's and the world's."""
        return self.broker.strikes + self.struck

    # --- what happens -------------------------------------------------------------------------------------------

    async def happen(self) -> None:
        """Let the storm pass, and wait until everything is settled. Raises `Stuck` if that does not come."""
        await self._begin()
        for action in self.plan.actions:
            self.loop.after_steps(action.after_steps, lambda act=action: self._act(act))  # type: ignore[misc]
        self.clients = [ClientProcess(self, number) for number in range(self.plan.clients)]
        running = [asyncio.create_task(client.run()) for client in self.clients]
        running.append(asyncio.create_task(self.intruder.run()))
        await asyncio.wait(running, timeout=STORM_MS_MAX / 1_000)
        await self._calm()
        await self._settle(running)

    async def _begin(self) -> None:
        """Start the nodes; where one is outdated, it is there first, and nobody wants anything before the others are."""
        if self.plan.outdated:
            self._start("old", 1, older=True)
            await self._recorded("account")
        for number in range(self.plan.nodes):
            self._start(f"n{number}", 1)
        if self.plan.outdated:
            await self._recorded("register")

    async def _recorded(self, behaviour: str) -> None:
        while behaviour not in self.broker.settings.get(APPS_SETTING, ""):  # noqa: ASYNC110 - virtual time costs nothing
            await asyncio.sleep(0.001)

    def _start(self, name: str, run: int, *, older: bool = False) -> None:
        if not self.over:
            self.processes.append(NodeProcess(self, name, run, older=older))

    async def _calm(self) -> None:
        """End every fault, and let everybody go on."""
        self.note("world", "calm")
        self.calm = True
        self.broker.faults = Faults()
        for process in self.processes:
            if process.stopped:
                process.go_on()
            process.clock.offset_us = 0
        if not self.living():
            self._start("n0", 99)

    def living(self) -> list[NodeProcess]:
        """Return the node processes that were not killed."""
        return [process for process in self.processes if process.alive]

    # --- the storm ----------------------------------------------------------------------------------------------

    def _act(self, action: Action) -> None:
        running = [process for process in self.living() if not process.stopped]
        if self.calm:
            return
        if action.kind == NEWCOMER:
            self.struck[NEWCOMER] += 1
            self._start("n9", 1 + sum(process.name == "n9" for process in self.processes))
        elif running:
            process = self.random.choice(running)
            self.struck[action.kind] += 1
            acts = {CRASH: self._crash, ZOMBIE: self._zombie, CLOCK_JUMP: self._jump, CLOCK_FAR: self._jump_far}
            acts[action.kind](process, action)

    def _crash(self, process: NodeProcess, action: Action) -> None:
        process.kill()
        self.loop.call_later(action.for_ms / 1_000, self._start, process.name, process.run + 1)

    def _zombie(self, process: NodeProcess, action: Action) -> None:
        process.stop()
        self.loop.call_later(action.for_ms / 1_000, self._wake, process)

    def _wake(self, process: NodeProcess) -> None:
        if process.alive and process.stopped:
            process.go_on()

    def _jump(self, process: NodeProcess, action: Action) -> None:
        process.clock.offset_us += self.random.choice((-1, 1)) * action.for_ms * 1_000
        self.note(process.process, f"wall clock is off by {process.clock.offset_us // 1_000} ms")

    def _jump_far(self, process: NodeProcess, action: Action) -> None:
        """Let a clock be wrong for a while as a clock battery that is dead makes it."""
        off_us = self.random.choice((-1, 1)) * self.random.choice((120, 3_600, 86_400, 30 * 86_400)) * 1_000_000
        process.clock.offset_us += off_us
        self.note(process.process, f"wall clock is off by {process.clock.offset_us // 1_000} ms")
        self.loop.call_later(action.for_ms / 1_000, self._set_right, process, off_us)

    def _set_right(self, process: NodeProcess, off_us: int) -> None:
        if not self.calm and process.alive:
            process.clock.offset_us -= off_us

    # --- afterwards ---------------------------------------------------------------------------------------------

    def owners(self) -> dict[int, Shard]:
        """Return the open shard of each number, of those whose epoch is the newest."""
        return {
            number: shard
            for process in self.living()
            if process.node is not None
            for number, shard in process.node.open_shards().items()
            if shard.statistics().epoch == self.broker.epochs[number]
        }

    async def _settle(self, clients: list[asyncio.Task[None]]) -> None:
        deadline_ms = self.loop.now_ms + CALM_MS_MAX
        while unsettled := self._waiting(clients) or self._unsettled():
            self._check_histories()
            if self.loop.now_ms > deadline_ms:
                raise Stuck(f"expected everything to settle within {CALM_MS_MAX} ms of calm; {unsettled}")
            await asyncio.sleep(LOOK_EVERY_MS / 1_000)
        self.note("world", "settled")
        self.struck[OUTDATED] += sum(process.older and process.unfit for process in self.processes)
        self.over = True
        for process in self.living():
            self.loop.stop_process(process.process)

    def _waiting(self, clients: list[asyncio.Task[None]]) -> str:
        for client in clients:
            if client.done():
                client.result()
        waiting = sum(not client.done() for client in clients)
        return f"{waiting} clients wait for an answer" if waiting else ""

    def _check_histories(self) -> None:
        for process in self.living():
            if process.node is not None and (broken := process.node.statistics().broken):
                raise HistoryBroken(f"{process.name} found the history broken: {broken}")

    def _unread(self, number: int, shard: Shard) -> str:
        for topic, position in zip(LANES, shard.memory.head.positions, strict=True):
            if self.broker.partition(topic, number).read(position, 1).records:
                return f"shard {number} has read {topic} to {position}, and there is more"
        if self.broker.partition(EVENTS, number).read(shard.memory.events_end, 1).records:
            return f"shard {number} does not know yet what it has committed"
        return ""

    def _wake_fenced(self, number: int) -> None:
        """Let an idle owner that a zombie fenced off find out, as the next message for it would."""
        for process in self.living():
            if process.node is not None and (shard := process.node.open_shards().get(number)) is not None:
                shard.prove()

    def _unsettled(self) -> str:
        partitions = [
            self.broker.partition(topic, number) for topic in CO_PARTITIONED for number in range(self.plan.partitions)
        ]
        if any(partition.stable < partition.high for partition in partitions):
            return "a transaction is open"
        owners = self.owners()
        for number in range(self.plan.partitions):
            shard = owners.get(number)
            if shard is None:
                self._wake_fenced(number)
                return f"shard {number} has no owner"
            if not shard.idle:
                return f"shard {number} is busy"
            if left := self._unread(number, shard):
                return left
            statistics = shard.statistics()
            if statistics.timer_count or statistics.effect_count:
                return f"shard {number} has timers or effects to do: {statistics}"
        return ""
