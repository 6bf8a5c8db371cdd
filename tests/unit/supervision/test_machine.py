"""Anything at any time: faults of processes, host, line and node, operators and files, in every order.

When the storm is over, the fleet must come to rest where it was wished to be, or have been given up loudly.
"""

from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from hms.schemas.component import (
    PauseComponent,
    ResetComponent,
    RestartComponent,
    ResumeComponent,
    StartComponent,
    StopComponent,
)
from hms.schemas.component_events import ComponentGivenUp
from hms.schemas.fleet_messages import StopFleet
from hms.schemas.group_events import GroupGaveUp, GroupReset, GroupResumed, RestartCounted
from hms.schemas.recovery import RecoverComponent

from .conftest import World, fleet_of, spec

NAMES = ("a", "b", "c", "d", "e")
MAX_RESTARTS = 3
MAX_SECONDS = 30
names = st.sampled_from(NAMES)
WISHES = (StartComponent, StopComponent, RestartComponent, PauseComponent, ResumeComponent, ResetComponent)


class Storm(RuleBasedStateMachine):
    """Five components in two groups; `c` depends on one of the other group."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.version = 0

    @initialize(
        strategy=st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"]),
        kinds=st.tuples(*[st.sampled_from(["permanent", "permanent", "transient", "temporary"])] * len(NAMES)),
    )
    def begin(self, strategy: str, kinds: tuple[str, ...]) -> None:
        """Apply the first file."""
        self.strategy = strategy
        self.kinds = dict(zip(NAMES, kinds, strict=True))
        self.world.apply(self.file())

    def file(self, left_out: str = "") -> Any:
        """Return a version of the fleet file."""
        specs = [
            spec(
                name,
                "back" if name in "de" else "front",
                restart=self.kinds[name],
                depends_on={"d": "started"} if name == "c" else {},
            )
            for name in NAMES
            if name != left_out
        ]
        specs[0] = specs[0].model_copy(update={"command": ("run", f"version-{self.version}")})
        flags = {"strategy": self.strategy, "max_restarts": MAX_RESTARTS, "max_seconds": MAX_SECONDS}
        return fleet_of(*specs, **flags)

    @rule(name=names, code=st.sampled_from([0, 1]))
    def die(self, name: str, code: int) -> None:
        """Let a process end by itself."""
        if name in self.world.running():
            self.world.host.end(name, code=code)

    @rule(name=names)
    def vanish(self, name: str) -> None:
        """Let a process end without a report."""
        if name in self.world.running():
            self.world.host.end_unseen(name)

    @rule(name=names)
    def sicken(self, name: str) -> None:
        """Let a process hang."""
        if name in self.world.running():
            self.world.host.sicken(name)

    @rule(name=names)
    def restart_locally(self, name: str) -> None:
        """Let the host restart a process by itself."""
        run = self.world.host.runs.get(name)
        if run is not None and run.live and run.desired == "up":
            self.world.host.local_restart(name)

    @rule(name=names, times=st.integers(1, 4))
    def spoil_starts(self, name: str, times: int) -> None:
        """Let the next starts fail."""
        self.world.host.fail_starts[name] = times

    @rule(name=names, slow=st.booleans())
    def hang(self, name: str, *, slow: bool) -> None:
        """Let a process ignore (or obey again) its stop signal, or never become ready."""
        (self.world.host.hangs if slow else self.world.host.never_ready).add(name)

    @rule(name=names, kind=st.sampled_from(WISHES))
    def wish(self, name: str, kind: Any) -> None:
        """Let an operator ask for something; the answer may be a refusal."""
        self.world.tell(f"component/{name}", kind(who="op"))

    @rule(name=names, group=st.sampled_from(["front", "back"]), stale=st.booleans())
    def recover(self, name: str, group: str, *, stale: bool) -> None:
        """Let the runtime supervisor order a recovery, sensible or not."""
        self.world.orders += 1
        order = RecoverComponent(component=name, incarnation=1 if stale else None, reason="test", task_id="t")
        self.world.tell(f"group/{group}", order, "runtime_supervisor/main")

    @rule(lossy=st.booleans())
    def spoil_the_line(self, *, lossy: bool) -> None:
        """Hold back what goes between host and log, or stop doing so."""
        self.world.lossy = lossy

    @rule(data=st.data())
    def disturb_the_mail(self, data: st.DataObject) -> None:
        """Deliver what was held back: some lost, some twice, in any order."""
        held = self.world.held_back
        chosen = data.draw(st.lists(st.sampled_from(range(len(held))), max_size=len(held))) if held else []
        letters = [held[index] for index in chosen]
        held.clear()
        self.world.mail.extend(letters)

    @rule()
    def lose_the_host(self) -> None:
        """Cut host and log apart."""
        self.world.connected = False

    @rule()
    def find_the_host(self) -> None:
        """Join them again."""
        self.world.connected = True

    @rule(boot=st.booleans())
    def restart_the_agent(self, *, boot: bool) -> None:
        """Let the agent come back, or the whole machine."""
        if boot:
            self.world.host.reboot()
        else:
            self.world.host.restart_agent()

    @rule()
    def restart_the_node(self) -> None:
        """Fold everything again."""
        self.world.restart_node()

    @rule(changed=st.booleans(), left_out=st.sampled_from(["", "b", "e"]))
    def apply(self, *, changed: bool, left_out: str) -> None:
        """Apply a file: the same, one with another command, or one that lacks a component."""
        self.version += changed
        self.world.apply(self.file(left_out))

    @rule(kill=st.booleans())
    def stop(self, *, kill: bool) -> None:
        """End the session."""
        self.world.tell("fleet/shop", StopFleet(reason="test", kill=kill))

    @rule(span_ms=st.sampled_from([0, 50, 500, 5_000, 20_000]))
    def wait(self, span_ms: int) -> None:
        """Let everything settle, and time pass."""
        self.world.pass_ms(span_ms)

    @invariant()
    def nothing_is_started_over_a_live_process(self) -> None:
        """Check that there are never two live incarnations."""
        assert not self.world.host.doubled

    @invariant()
    def the_intensity_is_respected(self) -> None:
        """Check that no group restarts more often than it may without giving up."""
        for group in ("front", "back"):
            counted: list[Any] = []
            for event in self.world.history.get(f"group/{group}", []):
                if isinstance(event, GroupReset | GroupResumed):
                    counted.clear()
                elif isinstance(event, RestartCounted):
                    counted = [at for at in counted if (event.at - at).total_seconds() <= MAX_SECONDS]
                    counted.append(event.at)
                    over = len(counted) > MAX_RESTARTS
                elif isinstance(event, GroupGaveUp):
                    over = False
                assert not counted or not over or isinstance(event, RestartCounted)

    def teardown(self) -> None:
        """Let the storm pass and see where everything comes to rest."""
        world = self.world
        if "fleet/shop" not in world.state:
            return
        world.lossy, world.connected = False, True
        world.held_back.clear()
        world.host.fail_starts.clear()
        world.host.hangs.clear()
        for name in list(world.host.never_ready):
            world.host.never_ready.discard(name)
        world.host.restart_agent()
        for name, run in world.host.runs.items():
            run.ready = True
            if run.live:
                world.host.make_ready(name)
        world.pass_ms(200_000)
        self._check_rest()

    def _check_rest(self) -> None:
        world = self.world
        active = world.state["fleet/shop"].phase.kind == "active"
        in_file = {each.id for each in world.state["fleet/shop"].spec.components}
        running = set(world.running())
        assert running <= in_file
        if not active:
            assert world.state["fleet/shop"].phase.kind == "stopped"
            assert not running
        for name in in_file if active else ():
            self._check(name, up=name in running)
        world.restart_node()
        groups = (state for at, state in world.state.items() if at.startswith("group/"))
        waiting = sum(len(plan.requesters) for state in groups for plan in state.plans)
        assert len(world.outcomes()) + waiting == world.orders

    def _check(self, name: str, *, up: bool) -> None:
        world = self.world
        status = world.describe(name)
        group = world.describe_group(status.group)
        assert status.phase in ("running", "stopped", "exited", "completed", "given_up", "waiting"), status
        assert (status.phase == "running") is up, status
        if group.given_up:
            self._check_given_up(name, status)
        elif status.desired == "down":
            assert not up
        elif not up:
            self._check_down(name, status)

    def _check_given_up(self, name: str, status: Any) -> None:
        assert status.paused or status.phase != "running"
        assert self.world.events(GroupGaveUp, f"group/{status.group}")
        if status.phase == "given_up":
            assert self.world.events(ComponentGivenUp, f"component/{name}")

    def _check_down(self, name: str, status: Any) -> None:
        """Something wished up is down only for a reason that OTP or an operator gives."""
        kind = self.kinds[name]
        last = status.exits[-1] if status.exits else None
        waits = name == "c" and self.world.describe("d").phase != "running"
        ended_well = kind == "transient" and last is not None and last.normal
        assert status.paused or kind == "temporary" or ended_well or waits, status


def test_every_storm_ends_where_it_was_wished_to_or_loudly() -> None:
    run_state_machine_as_test(
        Storm,
        settings=settings(
            max_examples=50,
            phases=[Phase.generate],
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
