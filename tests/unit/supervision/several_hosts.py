"""Several hosts under leases, with two clocks: the log's, which may jump, and the one that really passes.

An agent may be cut off or killed, a host frozen; its shims go on by the real clock. After every step nothing runs twice.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

from hms.schemas.component_reports import ComponentCommand
from hms.schemas.host import RenewLease

from .conftest import INVENTORY_MS, STEPS_MAX, World
from .processes import Machine, Run

KILLING_MS = 300
"""What it may take from the end of a lease until a whole tree is gone."""


class LeasedMachine(Machine):
    """A host whose runs start under a lease and end with it; `real_ms` of the world is its clock."""

    def __init__(self, world: "SeveralHosts", name: str) -> None:
        super().__init__(world, name)
        self.agent_lives = True
        self.cut = False
        self.frozen = False
        self.leases: dict[str, tuple[int, int]] = {}
        """Component -> (incarnation, end): what the agent was granted last."""
        self.ends: dict[str, int] = {}
        """Component -> end of the lease that the shim of its run knows."""
        self.waiting: dict[str, tuple[ComponentCommand, int]] = {}
        """Component -> (command to start it, until when it is held)."""
        self.unread: list[Any] = []
        self.asked: OrderedDict[tuple[int, int], int] = OrderedDict()

    @property
    def hears(self) -> bool:
        """Whether the agent reads its commands."""
        return self.agent_lives and not self.cut and not self.frozen

    def take(self, message: Any) -> None:
        """Read a command, now or when the agent is back."""
        self.unread.append(message)
        self.read_on()

    def read_on(self) -> None:
        """Read what came meanwhile, in order."""
        while self.hears and self.unread:
            message = self.unread.pop(0)
            if isinstance(message, RenewLease):
                self._renewed(message)
            else:
                self._commanded(message)

    def _renewed(self, renewal: RenewLease) -> None:
        asked = self.asked.get((renewal.session, renewal.sequence))
        for name, incarnation in renewal.components.items() if asked is not None else ():
            end = (asked or 0) + renewal.lease_ms
            self.leases[name] = (incarnation, end)
            run = self.runs.get(name)
            if run is not None and run.live and run.incarnation == incarnation and not self.world.bug("stale lease"):
                self.ends[name] = max(end, self.ends.get(name, 0))
        self.wake()

    def _commanded(self, message: Any) -> None:
        known = self.runs.get(message.component)
        waits = self.waiting.get(message.component)
        if waits is not None and message.incarnation >= waits[0].incarnation and message.desired == "down":
            del self.waiting[message.component]
            known = None
        newer = message.incarnation > max(known.incarnation if known else 0, waits[0].incarnation if waits else 0)
        if message.desired == "up" and message.leased and newer:
            if known is not None and known.live:
                self.end(message.component, signal="TERM")
            hold = 0 if self.world.bug("no hold") else message.hold_ms
            self.waiting[message.component] = (message, self.world.real_ms + hold)
            self.wake()
        elif waits is None or message.incarnation > waits[0].incarnation:
            super().take(message)

    def wake(self) -> None:
        """Do what the clock asks for: end what has no lease any more, first; start what may start."""
        if self.frozen:
            return
        now = self.world.real_ms
        for name, run in self.runs.items():
            if run.live and name in self.ends and now >= self.ends[name] and not self.world.bug("no lease"):
                run.live = False
                run.end = None
                if self.hears:
                    self.end(name, signal="KILL", seen="stopped")
        for name, (command, hold_until) in list(self.waiting.items()) if self.hears else ():
            incarnation, end = self.leases.get(name, (0, 0))
            leased = incarnation == command.incarnation and now < end
            if now >= hold_until and (leased or self.world.bug("start without lease")):
                del self.waiting[name]
                self.ends[name] = end + KILLING_MS if leased else now + 30_000
                super().take(command)

    def next_wake(self) -> Iterator[int]:
        """Yield the instants of the real clock at which something is to be done."""
        if not self.frozen:
            live = [name for name, run in self.runs.items() if run.live and name in self.ends]
            yield from (self.ends[name] for name in live if self.ends[name] > self.world.real_ms)
            yield from (until for _, until in self.waiting.values() if until > self.world.real_ms)

    def inventory(self) -> None:
        """Send what runs or is about to, and remember when."""
        self.sequence += 1
        self.asked[self.session, self.sequence] = self.world.real_ms
        live = {name: run.incarnation for name, run in self.runs.items() if run.live}
        about = {name: command.incarnation for name, (command, _) in self.waiting.items()}
        self.send_inventory({**live, **about})

    def kill_agent(self) -> None:
        """Let the agent die; its shims live."""
        self.agent_lives = False

    def start_agent(self) -> None:
        """Let the next agent take over: it knows what runs, begins every hold anew, and has no lease in hand."""
        if self.agent_lives:
            return
        self.agent_lives = True
        self.session, self.sequence = self.session + 1, 0
        self.leases.clear()
        self.asked.clear()
        self.waiting = {
            name: (command, self.world.real_ms + command.hold_ms) for name, (command, _) in self.waiting.items()
        }
        self.back()

    def back(self) -> None:
        """Go on after a silence: shims first, then the agent."""
        self.wake()
        if self.hears:
            self.inventory()
            for name, run in self.runs.items():
                if not run.live and run.end is None and run.incarnation:
                    run.end = self._say_end(name, run)
            self.read_on()

    def _say_end(self, name: str, run: Run) -> Any:
        self.end(name, signal="KILL", seen="stopped")
        return run.end


@dataclass
class SeveralHosts(World):
    """A world of hosts; mail between different pairs overtakes by chance."""

    random: Random = field(default_factory=lambda: Random(0))  # noqa: S311 - repeatable on purpose
    bugs: frozenset[str] = frozenset()
    real_ms: int = 0
    hosts: dict[str, LeasedMachine] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)
    started: int = 0

    def __post_init__(self) -> None:
        for name in ("h1", "east", "west"):
            self.hosts[name] = LeasedMachine(self, name)
        self.host = self.hosts["h1"]

    def bug(self, name: str) -> bool:
        """Tell whether the world has this mistake, to show that it would be found."""
        return name in self.bugs

    def send(self, to: str, message: Any, sender: str) -> None:
        """Put a message into the mail; one of an agent that is cut off or frozen waits there."""
        self.mail.append((to, message, sender))

    def run(self) -> None:
        """Deliver what can be delivered, in the order of each pair, by chance between them."""
        for _ in range(STEPS_MAX):
            ready = self._ready()
            if not ready:
                return
            index = self.random.choice(ready)
            letter = self.mail[index]
            del self.mail[index]
            self._deliver(*letter)
            self.look()
        raise AssertionError(f"expected supervision to come to rest, it still says {list(self.mail)[:5]}")

    def _ready(self) -> list[int]:
        first: dict[tuple[str, str], int] = {}
        for index, (to, _, sender) in enumerate(self.mail):
            first.setdefault((to, sender), index)
        return [index for (_, sender), index in first.items() if self._leaves(sender)]

    def _leaves(self, sender: str) -> bool:
        kind, _, name = sender.partition("/")
        return kind != "agent" or (not self.hosts[name].cut and not self.hosts[name].frozen)

    def _deliver(self, to: str, message: Any, sender: str) -> None:
        kind, _, name = to.partition("/")
        if kind == "agent":
            self.hosts[name].take(message)
        else:
            super()._deliver(to, message, sender)

    def look(self) -> None:
        """Hold that nothing runs twice."""
        for name in {name for machine in self.hosts.values() for name in machine.runs}:
            where = [
                f"{machine.name} {machine.runs[name].incarnation}"
                for machine in self.hosts.values()
                if name in machine.runs and machine.runs[name].live and not machine.frozen
            ]
            if len(where) > 1:
                self.twice.append(f"{name} runs on {' and '.join(where)} at {self.real_ms} ms")

    def pass_ms(self, span_ms: int) -> None:
        """Let both clocks go on; wake the hosts when their own clocks say so."""
        self.run()
        end = self.real_ms + span_ms
        for _ in range(STEPS_MAX):
            due, what = self._next_due()
            wake = min((at for machine in self.hosts.values() for at in machine.next_wake()), default=end + 1)
            timer = self.real_ms + max(0, -(-(due - self.now) // timedelta(milliseconds=1)))
            if min(timer, wake) > end:
                break
            self._go_to(min(timer, wake))
            if wake <= timer:
                for machine in self.hosts.values():
                    machine.wake()
            else:
                self._ring(what)
            self.run()
            self.look()
        else:
            raise AssertionError("expected timers to come to an end within the span")
        self._go_to(end)

    def _go_to(self, real_ms: int) -> None:
        self.now += timedelta(milliseconds=real_ms - self.real_ms)
        self.real_ms = real_ms

    def jump_ms(self, span_ms: int) -> None:
        """Let the log's clock jump ahead, as when a node takes over whose own is fast."""
        self.now += timedelta(milliseconds=span_ms)
        self.run()

    def _ring(self, name: tuple[str, str] | None) -> None:
        if name is not None:
            super()._ring(name)
            return
        self.next_inventory = self.now + timedelta(milliseconds=INVENTORY_MS)
        for machine in self.hosts.values():
            if machine.hears:
                machine.inventory()

    def running_on(self, name: str) -> list[str]:
        """Return the hosts on which it runs."""
        return [machine.name for machine in self.hosts.values() if name in machine.runs and machine.runs[name].live]
