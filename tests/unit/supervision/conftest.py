"""`World`: all actors of supervision on a message pump in memory, with virtual time and a model of a host's processes.

Messages between actors are exact and in order, as the log makes them; what goes to and comes from the host may be lost,
doubled and reordered by a test.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from hms.actors.component import component
from hms.actors.fleet.behaviour import fleet
from hms.actors.group import group
from hms.actors.hosts import host
from hms.core.app import App
from hms.core.behaviour import Context
from hms.core.decision import Decision
from hms.core.testing.given import EPOCH
from hms.schemas import Contract
from hms.schemas.component import ComponentStatus, DescribeComponent
from hms.schemas.fleet import Backoff, ComponentSpec, FleetSpec, GroupSpec, Probe, Probes
from hms.schemas.fleet_messages import ApplyFleet, StopFleet
from hms.schemas.group import DescribeGroup, GroupStatus
from hms.schemas.recovery import HealthNotification, RecoverComponent, RecoveryNotification, RecoveryOutcome

from .processes import FLEET, HOST, Machine

BEHAVIOURS = {each.name: each for each in (component, fleet, group, host)}
STEPS_MAX = 20_000
INVENTORY_MS = 5_000
PURITY_CHECKED = 300


def contract_of_supervision() -> Contract:
    """Return a contract with everything that the actors say, record and keep."""
    contract = Contract()
    App("hms", *BEHAVIOURS.values()).register(contract)
    for behaviour in BEHAVIOURS.values():
        contract.register(behaviour.state, f"hms.{behaviour.state.__name__}")
    return contract


CONTRACT = contract_of_supervision()


def through_avro(record: Any) -> Any:
    """Write a record as the log does, and read it again."""
    kind = CONTRACT.of(type(record))
    return kind.decode_body(kind.encode_body(record))


@dataclass
class World:
    """Everything: actors with their histories, mail, timers, the time, and one host."""

    now: Any = EPOCH
    state: dict[str, Any] = field(default_factory=dict)
    history: dict[str, list[Any]] = field(default_factory=dict)
    order: list[tuple[str, Any]] = field(default_factory=list)
    mail: deque[tuple[str, Any, str]] = field(default_factory=deque)
    timers: dict[tuple[str, str], tuple[Any, int, Any]] = field(default_factory=dict)
    notices: list[Any] = field(default_factory=list)
    orders: int = 0
    told: int = 0
    connected: bool = True
    heals_illness: bool = True
    lossy: bool = False
    held_back: list[tuple[str, Any, str]] = field(default_factory=list)
    next_inventory: Any = EPOCH

    def __post_init__(self) -> None:
        self.host = Machine(self)

    def send(self, to: str, message: Any, sender: str) -> None:
        """Put a message into the mail; between host and log it is held back while the line is bad."""
        outside = sender.startswith("agent/") or to.startswith("agent/")
        if outside and (self.lossy or not self.connected):
            self.held_back.append((to, message, sender))
        else:
            self.mail.append((to, message, sender))

    def report(self, name: str, report: Any) -> None:
        """Send what the agent says of a component."""
        self.send(f"component/{name}", report, f"agent/{report.host}")

    def tell(self, to: str, message: Any, sender: str = "client/test") -> Decision[Any]:
        """Let one actor decide, at once, and mail what it sends."""
        kind = to.partition("/")[0]
        behaviour = BEHAVIOURS[kind]
        before = self.state.get(to, behaviour.initial())
        self.told += 1
        context = Context(to, sender, self.now, f"message-{self.told}", "correlation")
        decision = behaviour.decide(before, message, context)
        if self.told < PURITY_CHECKED:
            assert decision == behaviour.decide(before, message, context)
        for event in decision.events:
            before = behaviour.evolve(before, event)
            self.history.setdefault(to, []).append(event)
            self.order.append((to, event))
        self.state[to] = before
        self._follow(to, decision)
        return decision

    def ask(self, to: str, message: Any) -> Any:
        """Ask, let everything settle, and return the answer or the refusal's code."""
        decision = self.tell(to, message)
        self.run()
        return decision.refusal.code if decision.refusal else decision.reply

    def run(self) -> None:
        """Deliver until nothing is in the mail; a supervision that never comes to rest fails."""
        for _ in range(STEPS_MAX):
            if not self.mail:
                return
            self._deliver(*self.mail.popleft())
        raise AssertionError(f"expected supervision to come to rest, it still says {list(self.mail)[:5]}")

    def pass_ms(self, span_ms: int) -> None:
        """Move time on, ring what is due on the way, let the host send its inventories."""
        self.run()
        end = self.now + timedelta(milliseconds=span_ms)
        for _ in range(STEPS_MAX):
            due, what = self._next_due()
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            self._ring(what)
            self.run()
        else:
            raise AssertionError("expected timers to come to an end within the span")
        self.now = end

    def restart_node(self) -> None:
        """Forget every state and fold it again from its events."""
        for address, state in self.state.items():
            behaviour = BEHAVIOURS[address.partition("/")[0]]
            folded = behaviour.initial()
            for event in self.history.get(address, []):
                folded = behaviour.evolve(folded, through_avro(event))
            assert folded == state, f"{address}: expected state = fold"
            self.state[address] = through_avro(folded)
            assert self.state[address] == folded

    def apply(self, spec: FleetSpec) -> Any:
        """Apply a fleet file."""
        return self.ask(f"fleet/{FLEET}", ApplyFleet(spec=spec, host=HOST, who="test"))

    def stop(self) -> Any:
        """End the session."""
        return self.ask(f"fleet/{FLEET}", StopFleet(reason="test"))

    def describe(self, name: str) -> ComponentStatus:
        """Ask a component what it is."""
        answer = self.tell(f"component/{name}", DescribeComponent()).reply
        assert isinstance(answer, ComponentStatus)
        return answer

    def describe_group(self, name: str) -> GroupStatus:
        """Ask a group what it is."""
        answer = self.tell(f"group/{name}", DescribeGroup()).reply
        assert isinstance(answer, GroupStatus)
        return answer

    def phases(self, *names: str) -> dict[str, str]:
        """Return the phases of some components."""
        return {name: self.describe(name).phase for name in names}

    def running(self) -> dict[str, int]:
        """Return what really runs."""
        return {name: run.incarnation for name, run in self.host.runs.items() if run.live}

    def crash(self, name: str, **how: Any) -> None:
        """Let a process die, and everything settle but what waits."""
        self.host.end(name, **(how or {"code": 1}))
        self.run()

    def events(self, kind: Any, address: str = "") -> list[Any]:
        """Return what happened of one kind, in order."""
        return [event for at, event in self.order if isinstance(event, kind) and address in ("", at)]

    def outcomes(self) -> list[RecoveryOutcome]:
        """Return the outcomes that the runtime supervisor got."""
        return [notice for notice in self.notices if isinstance(notice, RecoveryOutcome)]

    def recoveries(self) -> list[RecoveryNotification]:
        """Return what the runtime supervisor heard of recoveries that groups decided on."""
        return [notice for notice in self.notices if isinstance(notice, RecoveryNotification)]

    def _deliver(self, to: str, message: Any, sender: str) -> None:
        kind = to.partition("/")[0]
        if kind == "agent":
            self.host.take(message)
        elif kind == "runtime_supervisor":
            self._supervise(message)
        elif kind in BEHAVIOURS:
            decision = self.tell(to, message, sender)
            assert decision.refusal is None, f"{to} refused {message!r} of {sender}: {decision!r}"

    def _supervise(self, message: Any) -> None:
        """Do what the runtime supervisor would do with a critical notification."""
        self.notices.append(message)
        if self.heals_illness and isinstance(message, HealthNotification) and message.status == "Critical":
            self.orders += 1
            order = RecoverComponent(
                component=message.component_id, incarnation=message.incarnation, reason=message.message
            )
            self.send(f"group/{message.group}", order, "runtime_supervisor/main")

    def _follow(self, actor: str, decision: Decision[Any]) -> None:
        for each in decision.sends:
            self.send(each.to, each.message, actor)
        for each in decision.timers:
            name = (actor, each.name)
            self.timers.pop(name, None)
            if each.message is not None:
                due = self.now + timedelta(milliseconds=each.after_ms)
                self.timers[name] = (due, self.told, each.message)

    def _next_due(self) -> tuple[Any, tuple[str, str] | None]:
        timers = [(due, number, name) for name, (due, number, _) in self.timers.items()]
        first = min(timers, default=None)
        if first is None or self.next_inventory <= first[0]:
            return self.next_inventory, None
        return first[0], first[2]

    def _ring(self, name: tuple[str, str] | None) -> None:
        if name is None:
            self.next_inventory = self.now + timedelta(milliseconds=INVENTORY_MS)
            if self.connected:
                self.host.inventory()
            return
        _, _, message = self.timers.pop(name)
        self.tell(name[0], message, name[0])


def spec(name: str, group_id: str = "front", **fields: Any) -> ComponentSpec:
    """Describe a component with a backoff that is easy to compute with: 100 ms doubled, no jitter."""
    backoff = fields.pop("backoff", Backoff(first_ms=100, max_ms=10_000, jitter=0, stable_ms=10_000))
    probes = fields.pop("probes", Probes(readiness=Probe(process=True)))
    return ComponentSpec(id=name, group=group_id, command=("run", name), backoff=backoff, probes=probes, **fields)


def fleet_of(*components: ComponentSpec, **flags: Any) -> FleetSpec:
    """Describe a fleet; every group gets the same flags."""
    groups = dict.fromkeys(component.group for component in components)
    return FleetSpec(fleet=FLEET, groups=tuple(GroupSpec(id=name, **flags) for name in groups), components=components)


@pytest.fixture
def world() -> Iterator[World]:
    """Give an empty world, and check at the end that every state is the fold of its events."""
    made = World()
    yield made
    made.run()
    made.restart_node()
    assert not made.host.doubled, "expected nothing to be started over a process that lives"


@pytest.fixture(name="spec")
def spec_fixture() -> Any:
    """Give the maker of component specifications."""
    return spec


@pytest.fixture(name="fleet_of")
def fleet_of_fixture() -> Any:
    """Give the maker of fleets."""
    return fleet_of
