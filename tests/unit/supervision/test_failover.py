"""Components on several hosts: where they start, what silence means, and that no history makes two copies run."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from hms.schemas.component import RestartComponent, StartComponent, StopComponent
from hms.schemas.component_events import ComponentFenced, ComponentStartRequested, FencingBegan
from hms.schemas.fleet import ComponentSpec, FleetSpec, GroupSpec
from hms.schemas.group_events import RestartCounted

from .conftest import World, spec
from .several_hosts import KILLING_MS, SeveralHosts

SILENCE_MS = 15_000
LEASE_MS = 30_000
HOLD_MS = 36_000
SEEDS = 60
BUGS = ("no lease", "no hold", "start without lease")


def world_of(*components: ComponentSpec, random: Random | None = None, bugs: frozenset[str] = frozenset()) -> Any:
    """Return a world in which a fleet runs."""
    made = SeveralHosts(random=random or Random(1), bugs=bugs)  # noqa: S311 - repeatable on purpose
    groups = dict.fromkeys(component.group for component in components)
    flags = {"max_restarts": 10_000, "max_seconds": 1}
    made.apply(
        FleetSpec(
            fleet="shop",
            hosts=("east", "west"),
            groups=tuple(GroupSpec(id=name, **flags) for name in groups),
            components=components,
        )
    )
    made.pass_ms(1_000)
    return made


def roaming(name: str = "web", group: str = "front", **more: Any) -> ComponentSpec:
    """Describe a component that may go from east to west."""
    return spec(name, group, **{"host": "east", "failover": True, "candidates": ("west",), **more})


def starts(world: World, name: str = "web") -> list[tuple[str, int]]:
    """Return host and hold of every start."""
    return [(e.host, e.hold_ms) for e in world.events(ComponentStartRequested, f"component/{name}")]


def test_each_component_runs_where_it_is_placed_and_at_home_without_a_word() -> None:
    world = world_of(spec("a", host="east"), spec("b", host="west"), spec("c"))
    assert [world.running_on(name) for name in "abc"] == [["east"], ["west"], ["h1"]]


def test_without_failover_a_silent_hosts_component_is_unknown_for_as_long_as_it_takes() -> None:
    world = world_of(spec("web", host="east", candidates=("west",)))
    world.hosts["east"].cut = True
    world.pass_ms(3_600_000)
    assert world.phases("web") == {"web": "unknown"}
    assert starts(world) == [("east", 0)]
    assert world.running_on("web") == ["east"]
    world.hosts["east"].cut = False
    world.hosts["east"].back()
    world.pass_ms(5_000)
    assert world.phases("web") == {"web": "running"}
    assert starts(world) == [("east", 0)]


@pytest.mark.parametrize("gone", ["cut", "frozen", "agent killed"])
def test_with_failover_it_is_started_elsewhere_once_its_host_has_surely_stopped_it(gone: str) -> None:
    world = world_of(roaming())
    east = world.hosts["east"]
    east.cut, east.frozen, east.agent_lives = gone == "cut", gone == "frozen", gone != "agent killed"
    world.pass_ms(SILENCE_MS + 5_000)
    assert starts(world) == [("east", 0), ("west", HOLD_MS)]
    assert world.running_on("web") in (["east"], []), "expected the other host to wait"
    world.pass_ms(HOLD_MS)
    assert world.phases("web") == {"web": "running"}
    assert [host for host in world.running_on("web") if not world.hosts[host].frozen] == ["west"]
    assert not world.events(RestartCounted)
    assert not world.twice


def test_a_host_that_comes_back_stops_its_copy_and_gets_nothing_back() -> None:
    world = world_of(roaming())
    world.hosts["east"].cut = True
    world.pass_ms(SILENCE_MS + 1_000)
    world.hosts["east"].cut = False
    world.hosts["east"].back()
    world.pass_ms(5_000)
    assert world.running_on("web") == [], "expected the copy to be stopped at once, and the other host to wait"
    world.pass_ms(120_000)
    assert world.running_on("web") == ["west"]
    assert len(starts(world)) == 2
    assert not world.twice


def test_a_crash_stays_where_it_is_and_a_restart_by_hand_goes_home() -> None:
    world = world_of(roaming())
    world.hosts["east"].cut = True
    world.pass_ms(SILENCE_MS + HOLD_MS + 5_000)
    world.hosts["east"].cut = False
    world.hosts["east"].back()
    world.pass_ms(10_000)
    world.hosts["west"].end("web", code=1)
    world.pass_ms(5_000)
    assert world.running_on("web") == ["west"]
    world.ask("component/web", RestartComponent(why="home again"))
    world.pass_ms(5_000)
    assert world.running_on("web") == ["east"]
    assert [host for host, _ in starts(world)] == ["east", "west", "west", "east"]
    assert not world.twice


def test_nothing_is_fenced_while_no_candidate_is_there_and_it_is_once_one_comes() -> None:
    world = world_of(roaming())
    world.hosts["west"].cut = True
    world.hosts["east"].cut = True
    world.pass_ms(600_000)
    assert not world.events(FencingBegan)
    assert world.phases("web") == {"web": "unknown"}
    world.hosts["west"].cut = False
    world.hosts["west"].back()
    world.pass_ms(HOLD_MS + 5_000)
    assert world.running_on("web") == ["west"]


def test_what_is_not_wished_up_is_not_started_elsewhere() -> None:
    world = world_of(roaming())
    world.hosts["east"].cut = True
    world.ask("component/web", StopComponent())
    world.pass_ms(600_000)
    assert not world.events(FencingBegan)
    assert len(starts(world)) == 1
    world.ask("component/web", StartComponent())
    world.pass_ms(HOLD_MS + 5_000)
    assert world.running_on("web") == ["west"]


def test_a_clock_of_the_log_that_jumps_ahead_makes_no_second_copy() -> None:
    world = world_of(roaming())
    world.hosts["east"].cut = True
    for _ in range(20):
        world.pass_ms(200)
        world.jump_ms(5_000)
    assert world.events(ComponentFenced), "expected the jumps to have made the host silent early"
    assert world.running_on("web") == ["east"]
    world.pass_ms(HOLD_MS + 1_000)
    assert world.running_on("web") == ["west"]
    assert not world.twice


def test_a_lease_that_was_asked_for_before_a_freeze_is_worth_nothing_after_it() -> None:
    world = world_of(roaming())
    east = world.hosts["east"]
    east.inventory()
    east.frozen = True
    world.pass_ms(SILENCE_MS + HOLD_MS + 5_000)
    assert world.events(ComponentFenced)
    east.frozen = False
    east.wake()
    assert not east.runs["web"].live, "expected the shim to end it before anything else"
    east.back()
    world.pass_ms(60_000)
    assert world.running_on("web") == ["west"]
    assert not world.twice


def test_a_node_that_dies_between_withdrawal_and_start_loses_neither() -> None:
    world = world_of(roaming())
    world.hosts["east"].cut = True
    for _ in range(60):
        world.pass_ms(1_000)
        world.restart_node()
    assert world.running_on("web") == ["west"]
    assert len(starts(world)) == 2


def test_a_group_of_one_for_all_moves_together() -> None:
    made = SeveralHosts(random=Random(3))  # noqa: S311
    components = tuple(roaming(name) for name in ("a", "b"))
    groups = (GroupSpec(id="front", strategy="one_for_all", max_restarts=100),)
    made.apply(FleetSpec(fleet="shop", hosts=("east", "west"), groups=groups, components=components))
    made.pass_ms(1_000)
    made.hosts["east"].cut = True
    made.pass_ms(SILENCE_MS + 3 * HOLD_MS)
    assert [made.running_on(name) for name in ("a", "b")] == [["west"], ["west"]]
    assert not made.twice


# --- histories by chance ------------------------------------------------------------------------------------------------


def strike(world: Any, random: Random) -> None:
    """Let something happen to a host, a component, or the log's clock."""
    machine = world.hosts[random.choice(("east", "west", "h1"))]
    acts: dict[str, Callable[[], Any]] = {
        "cut": lambda: setattr(machine, "cut", True),
        "freeze": lambda: setattr(machine, "frozen", True),
        "kill": machine.kill_agent,
        "mend": lambda: mend(world, machine),
        "crash": lambda: crash(world, random),
        "jump": lambda: world.jump_ms(random.choice((100, 3_000, 20_000, 3_600_000))),
        "node": world.restart_node,
        "restart": lambda: world.ask("component/web", RestartComponent()),
        "stop": lambda: world.ask("component/web", StopComponent()),
        "start": lambda: world.ask("component/web", StartComponent()),
    }
    acts[random.choice(("cut", "freeze", "kill", "mend", "mend", "mend", *acts))]()
    world.pass_ms(random.choice((0, 50, 1_000, 6_000, 16_000, 40_000)))


def mend(world: Any, machine: Any) -> None:
    machine.cut = machine.frozen = False
    machine.wake()
    machine.start_agent()
    machine.back()
    world.look()


def crash(world: Any, random: Random) -> None:
    live = [machine for machine in world.hosts.values() if machine.name in world.running_on("web") and machine.hears]
    if live:
        random.choice(live).end("web", code=1)
        world.run()


def history(seed: int, bugs: frozenset[str] = frozenset()) -> Any:
    """Let a fleet live through a bad time; return its world."""
    random = Random(f"hosts {seed}")  # noqa: S311
    world = world_of(roaming(candidates=("west", "h1")), random=random, bugs=bugs)
    for _ in range(25):
        strike(world, random)
    return world


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_history_makes_two_copies_run_and_in_the_end_one_does(seed: int) -> None:
    world = history(seed)
    assert not world.twice, world.twice[0]
    for machine in world.hosts.values():
        mend(world, machine)
    world.ask("component/web", StartComponent())
    world.pass_ms(300_000)
    assert len(world.running_on("web")) == 1, world.describe("web")
    assert world.phases("web") == {"web": "running"}
    assert not world.twice, world.twice[0]
    world.restart_node()


def test_the_histories_hold_what_they_are_for() -> None:
    fenced = sum(len(history(seed).events(ComponentFenced)) for seed in range(15))
    assert fenced > 10, "expected histories in which components fail over"


@pytest.mark.parametrize("bug", BUGS)
def test_a_mistake_in_the_fencing_is_found(bug: str) -> None:
    assert any(history(seed, frozenset({bug})).twice for seed in range(SEEDS)), "expected a history that shows it"


def test_the_margin_is_longer_than_killing_takes() -> None:
    assert HOLD_MS - LEASE_MS > KILLING_MS
