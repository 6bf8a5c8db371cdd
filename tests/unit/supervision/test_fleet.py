"""A fleet as a whole: dependencies, differences, the end of a session and the next one."""

from typing import Any

import pytest

from hms.schemas.component import DescribeComponent, StartComponent, StopComponent
from hms.schemas.component_events import ComponentExited, ComponentHalted, ComponentRemoved, ComponentStartRequested
from hms.schemas.fleet import Backoff, FleetSpec, Limits
from hms.schemas.fleet_messages import ApplyFleet, DescribeFleet, FleetStopped, StopFleet, WaveStopped
from hms.schemas.group import DescribeGroup
from hms.schemas.group_events import GroupRestarting, RestartCounted
from hms.schemas.host import DescribeHost


def test_a_start_waits_until_its_dependency_in_another_group_is_ready(world: Any, spec: Any, fleet_of: Any) -> None:
    world.host.never_ready.add("cache")
    world.apply(fleet_of(spec("web", depends_on={"cache": "ready"}), spec("cache", "back")))
    world.pass_ms(30_000)
    assert world.running() == {"cache": 1}
    assert world.phases("web") == {"web": "waiting"}
    assert world.describe_group("front").members[0].activity == "start: waits for cache: ready"
    world.host.make_ready("cache")
    world.run()
    assert world.running() == {"cache": 1, "web": 1}


@pytest.mark.parametrize(("condition", "runs"), [("started", True), ("ready", False), ("completed", False)])
def test_conditions(world: Any, spec: Any, fleet_of: Any, condition: str, *, runs: bool) -> None:
    world.host.never_ready.add("first")
    world.apply(fleet_of(spec("first", restart="transient"), spec("then", depends_on={"first": condition})))
    assert ("then" in world.running()) is runs
    world.crash("first", code=0)
    assert ("then" in world.running()) is (condition != "ready")


def test_a_dependency_that_restarts_does_not_restart_its_dependants(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("web", depends_on={"cache": "ready"}), spec("cache", "back")))
    world.crash("cache")
    world.pass_ms(1_000)
    assert world.running() == {"cache": 2, "web": 1}


def test_a_group_restart_starts_again_in_the_order_of_conditions_without_blocking_the_others(
    world: Any, spec: Any, fleet_of: Any
) -> None:
    world.apply(
        fleet_of(
            spec("a"), spec("b", depends_on={"slow": "ready"}), spec("c"), spec("slow", "back"), strategy="one_for_all"
        )
    )
    world.host.never_ready.add("slow")
    world.crash("slow")
    world.crash("a")
    world.pass_ms(5_000)
    assert world.running() == {"a": 2, "c": 2, "slow": 2}
    world.host.make_ready("slow")
    world.run()
    assert world.running() == {"a": 2, "b": 2, "c": 2, "slow": 2}
    assert len(world.events(RestartCounted)) == 2


def test_applying_the_same_fleet_again_changes_nothing(world: Any, spec: Any, fleet_of: Any) -> None:
    file = fleet_of(spec("a"), spec("b", "back", depends_on={"a": "ready"}))
    assert world.apply(file).applied
    before = len(world.order)
    assert not world.apply(file).applied
    assert len(world.order) == before
    assert world.running() == {"a": 1, "b": 1}


def test_only_the_difference_is_acted_upon(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("same"), spec("gone"), spec("changed"), spec("tuned")))
    changed = spec("changed").model_copy(update={"command": ("other",)})
    world.apply(fleet_of(spec("same"), changed, spec("tuned", limits=Limits(rss_mb=9)), spec("new")))
    world.pass_ms(1_000)
    assert world.running() == {"same": 1, "changed": 2, "tuned": 1, "new": 1}
    assert world.ask("component/gone", DescribeComponent()) == "not_found"
    assert len(world.events(ComponentRemoved)) == 1
    assert world.events(RestartCounted) == []
    assert [
        command.component for command in world.host.commands if command.revision > 1 and command.desired == "up"
    ] == [
        "tuned",
        "changed",
    ]


def test_a_component_that_moves_to_another_group_runs_on(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), spec("b")))
    world.apply(fleet_of(spec("a"), spec("b", "back")))
    world.pass_ms(1_000)
    assert world.running() == {"a": 1, "b": 1}
    world.crash("b")
    world.pass_ms(1_000)
    assert world.running() == {"a": 1, "b": 2}
    assert [at for at, event in world.order if isinstance(event, GroupRestarting)] == ["group/back"]


def test_a_group_that_is_not_in_the_file_any_more_is_stopped_and_forgotten(
    world: Any, spec: Any, fleet_of: Any
) -> None:
    world.apply(fleet_of(spec("a"), spec("b", "back")))
    world.apply(fleet_of(spec("a")))
    world.pass_ms(1_000)
    assert world.running() == {"a": 1}
    assert world.ask("group/back", DescribeGroup()) == "not_found"


def test_a_component_that_leaves_and_comes_back_at_once_is_kept(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), spec("b")))
    world.host.hangs.add("b")
    world.apply(fleet_of(spec("a")))
    world.apply(fleet_of(spec("a"), spec("b")))
    world.host.hangs.clear()
    world.host.end("b", signal="KILL")
    world.pass_ms(10_000)
    assert world.running() == {"a": 1, "b": 2}


def test_a_fleet_stops_in_waves_against_the_dependencies(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(
        fleet_of(
            spec("web", depends_on={"api": "ready"}),
            spec("job", depends_on={"db": "started"}),
            spec("api", "back", depends_on={"db": "ready"}),
            spec("db", "data"),
        )
    )
    world.pass_ms(1_000)
    assert world.stop().phase == "stopping"
    world.pass_ms(1_000)
    ended = [at.partition("/")[2] for at, event in world.order if isinstance(event, ComponentExited)]
    assert ended == ["web", "job", "api", "db"]
    assert len(world.events(WaveStopped)) == 3
    assert world.ask("fleet/shop", DescribeFleet()).phase == "stopped"
    assert world.running() == {}


def test_a_wave_waits_for_the_slowest_of_the_one_before(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("web", depends_on={"db": "ready"}), spec("api", depends_on={"db": "ready"}), spec("db")))
    world.host.hangs.add("api")
    world.stop()
    world.pass_ms(20_000)
    assert world.running() == {"api": 1, "db": 1}
    world.host.hangs.clear()
    world.ask("fleet/shop", StopFleet(reason="again", kill=True))
    world.pass_ms(6_000)
    assert world.host.commands[-1].component == "db"
    assert world.host.commands[-1].kill
    assert world.running() == {}


def test_nothing_is_healed_while_a_fleet_stops(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("web", depends_on={"db": "ready"}), spec("db")))
    world.host.hangs.add("web")
    world.stop()
    world.crash("db")
    world.pass_ms(20_000)
    assert world.running() == {"web": 1}
    world.host.hangs.clear()
    world.host.end("web", signal="KILL")
    world.pass_ms(6_000)
    assert len(world.events(FleetStopped)) == 1
    assert world.events(RestartCounted) == []


def test_the_next_session_starts_what_is_wished_up_and_forgets_a_giving_up(
    world: Any, spec: Any, fleet_of: Any
) -> None:
    file = fleet_of(spec("a"), spec("b", "back"), spec("c", "down"), max_restarts=0)
    world.apply(file)
    world.ask("component/c", StopComponent(who="op"))
    world.crash("b")
    world.stop()
    world.pass_ms(1_000)
    assert world.running() == {}
    assert world.apply(file).applied
    world.pass_ms(1_000)
    assert world.running() == {"a": 2, "b": 2}
    assert world.describe("c").desired == "down"
    assert world.describe("b").given_up == ""


def test_a_fleet_applied_while_it_stops_runs_again(world: Any, spec: Any, fleet_of: Any) -> None:
    file = fleet_of(spec("a"), spec("b"))
    world.apply(file)
    world.host.hangs.add("a")
    world.stop()
    world.apply(file)
    world.host.hangs.clear()
    world.host.end("a", signal="TERM")
    world.pass_ms(10_000)
    assert world.running() == {"a": 2, "b": 2}
    assert world.ask("fleet/shop", DescribeFleet()).phase == "active"


def test_a_start_in_the_mail_does_not_escape_the_end_of_a_session(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a")))
    world.host.end("a", code=1)
    world.tell("fleet/shop", StopFleet(reason="test"))
    world.pass_ms(20_000)
    assert world.running() == {}
    assert world.ask("fleet/shop", DescribeFleet()).phase == "stopped"
    assert len(world.events(ComponentStartRequested)) == 1


def test_a_fleet_is_bound_to_its_host_and_its_name(world: Any, spec: Any, fleet_of: Any) -> None:
    file = fleet_of(spec("a"))
    world.apply(file)
    assert world.ask("fleet/shop", ApplyFleet(spec=file, host="h2")) == "host_mismatch"
    other = file.model_copy(update={"fleet": "other"})
    assert world.ask("fleet/shop", ApplyFleet(spec=other, host="h1")) == "fleet_mismatch"


def test_a_fleet_that_cannot_be_ordered_is_refused(world: Any, spec: Any, fleet_of: Any) -> None:
    circle = fleet_of(spec("a", depends_on={"b": "ready"}), spec("b", depends_on={"a": "ready"}))
    assert world.apply(circle) == "validation_error"
    assert world.apply(fleet_of(spec("a"), spec("a"))) == "validation_error"
    assert world.apply(FleetSpec(fleet="shop", components=(spec("a"),))) == "validation_error"
    assert world.apply(fleet_of(spec("a", depends_on={"x": "ready"}))) == "validation_error"


def test_what_is_not_there_is_not_found(world: Any) -> None:
    assert world.ask("component/x", StartComponent()) == "not_found"
    assert world.ask("group/x", DescribeGroup()) == "not_found"
    assert world.ask("host/x", DescribeHost()) == "not_found"
    assert world.ask("fleet/shop", DescribeFleet()) == "not_found"
    assert world.ask("fleet/shop", StopFleet()) == "not_found"


def test_a_host_tells_what_it_heard(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), spec("b")))
    world.pass_ms(1_000)
    status = world.ask("host/h1", DescribeHost())
    assert (status.state, status.boot_id, status.components) == ("alive", "boot-1", 2)


def test_after_the_end_of_a_session_everything_wished_up_is_stopped_and_the_next_one_waits_again(
    world: Any, spec: Any, fleet_of: Any
) -> None:
    world.host.never_ready.add("cache")
    backoff = Backoff(first_ms=60_000, max_ms=60_000, jitter=0, stable_ms=60_000)
    file = fleet_of(
        spec("cache", "back"), spec("web", depends_on={"cache": "ready"}), spec("sick", "other", backoff=backoff)
    )
    world.apply(file)
    world.crash("sick")
    assert world.phases("cache", "web", "sick") == {"cache": "running", "web": "waiting", "sick": "exited"}
    world.stop()
    for name in ("cache", "web", "sick"):
        status = world.describe(name)
        assert (status.phase, status.health, status.desired) == ("stopped", "stopped", "up"), status
    world.apply(file)
    assert world.phases("cache", "web") == {"cache": "running", "web": "waiting"}
    assert world.events(ComponentHalted, "component/web") == [ComponentHalted(reason="test", at=world.now)]


def test_what_was_given_up_or_completed_stays_that_after_the_end_of_a_session(
    world: Any, spec: Any, fleet_of: Any
) -> None:
    world.apply(fleet_of(spec("done", restart="transient"), spec("bad", "back"), max_restarts=0))
    world.crash("done", code=0)
    world.crash("bad")
    world.stop()
    assert world.phases("done", "bad") == {"done": "completed", "bad": "given_up"}
    assert world.describe("bad").health == "critical"
