"""The cases of OTP's supervisor suite, with processes."""

from typing import Any

import pytest

from hms.schemas.component import ResetComponent, RestartComponent, StartComponent, StopComponent
from hms.schemas.component_events import ComponentExited, ComponentGivenUp, ComponentStartRequested
from hms.schemas.fleet import Backoff
from hms.schemas.group_events import GroupGaveUp, GroupRestarting, GroupStarting, RestartCounted


def started(world: Any) -> list[str]:
    """Return in which order components were started."""
    return [at.partition("/")[2] for at, event in world.order if isinstance(event, ComponentStartRequested)]


def ended(world: Any) -> list[str]:
    """Return in which order components ended."""
    return [at.partition("/")[2] for at, event in world.order if isinstance(event, ComponentExited)]


def test_members_start_in_the_order_of_the_file(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("c"), spec("a"), spec("b")))
    assert started(world) == ["c", "a", "b"]
    assert world.phases("a", "b", "c") == {"a": "running", "b": "running", "c": "running"}


def test_one_for_one_restarts_only_the_one_that_died(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), spec("b")))
    world.crash("a")
    world.pass_ms(200)
    assert world.running() == {"a": 2, "b": 1}
    assert world.describe("a").restart_count == 1


def test_one_for_all_stops_in_reverse_order_and_starts_all_in_order(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), spec("b"), spec("c"), strategy="one_for_all"))
    world.crash("b")
    world.pass_ms(200)
    assert ended(world) == ["b", "c", "a"]
    assert started(world)[3:] == ["a", "b", "c"]
    assert world.running() == {"a": 2, "b": 2, "c": 2}


def test_rest_for_one_restarts_the_dead_and_those_after_it(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), spec("b"), spec("c"), spec("d"), strategy="rest_for_one"))
    world.crash("b")
    world.pass_ms(200)
    assert ended(world) == ["b", "d", "c"]
    assert world.running() == {"a": 1, "b": 2, "c": 2, "d": 2}


def test_a_group_restart_counts_once(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), spec("b"), spec("c"), strategy="one_for_all", max_restarts=1))
    world.crash("b")
    world.pass_ms(200)
    assert len(world.events(RestartCounted)) == 1
    assert world.describe_group("front").given_up == ""


def test_a_third_crash_at_intensity_two_gives_up(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), max_restarts=2, max_seconds=60))
    for _ in range(2):
        world.crash("a")
        world.pass_ms(1_000)
        assert world.phases("a") == {"a": "running"}
    world.crash("a")
    world.pass_ms(60_000)
    assert world.phases("a") == {"a": "given_up"}
    assert world.running() == {}
    assert len(world.events(GroupGaveUp)) == 1
    assert "3 restarts within 60 s, more than 2" in world.describe("a").given_up


def test_crashes_further_apart_than_the_window_never_give_up(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), max_restarts=2, max_seconds=10))
    for _ in range(8):
        world.crash("a")
        world.pass_ms(15_000)
    assert world.phases("a") == {"a": "running"}


def test_intensity_zero_gives_up_at_the_first_crash(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), max_restarts=0))
    world.crash("a")
    assert world.phases("a") == {"a": "given_up"}


def test_a_permanent_component_is_restarted_after_a_normal_exit(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a")))
    world.crash("a", code=0)
    world.pass_ms(200)
    assert world.running() == {"a": 2}


def test_a_transient_component_is_restarted_only_after_an_abnormal_exit(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a", restart="transient")))
    world.crash("a", signal="SEGV")
    world.pass_ms(200)
    assert world.running() == {"a": 2}
    world.crash("a", code=0)
    world.pass_ms(60_000)
    assert world.phases("a") == {"a": "completed"}
    assert len(world.events(RestartCounted)) == 1


@pytest.mark.parametrize("code", [0, 1])
def test_a_temporary_component_is_neither_restarted_nor_counted(
    world: Any, spec: Any, fleet_of: Any, code: int
) -> None:
    world.apply(fleet_of(spec("a", restart="temporary"), spec("b"), strategy="one_for_all", max_restarts=0))
    world.crash("a", code=code)
    world.pass_ms(60_000)
    assert world.running() == {"b": 1}
    assert world.events(RestartCounted) == []


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_a_temporary_sibling_is_stopped_by_a_group_restart_and_not_started_again(
    world: Any, spec: Any, fleet_of: Any, strategy: str
) -> None:
    world.apply(fleet_of(spec("a"), spec("t", restart="temporary"), spec("c"), strategy=strategy))
    world.crash("a")
    world.pass_ms(60_000)
    assert world.running() == {"a": 2, "c": 2}


def test_a_finished_transient_stays_finished_through_a_group_restart(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("job", restart="transient"), spec("a"), strategy="one_for_all"))
    world.crash("job", code=0)
    world.crash("a")
    world.pass_ms(1_000)
    assert world.running() == {"a": 2}
    assert world.phases("job") == {"job": "completed"}


def test_a_failed_restart_counts_as_another_restart(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), max_restarts=2))
    world.host.fail_starts["a"] = 2
    world.crash("a")
    world.pass_ms(60_000)
    assert len(world.events(RestartCounted)) == 3
    assert world.phases("a") == {"a": "given_up"}


def test_a_failed_start_within_a_group_restart_restarts_the_group_again(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), spec("b"), spec("c"), strategy="one_for_all", max_restarts=5))
    world.host.fail_starts["b"] = 1
    world.crash("c")
    world.pass_ms(5_000)
    assert world.running() == {"a": 3, "b": 3, "c": 2}
    assert len(world.events(RestartCounted)) == 2


def test_a_first_start_that_fails_is_tried_again_until_it_is_given_up(world: Any, spec: Any, fleet_of: Any) -> None:
    world.host.fail_starts["a"] = 99
    world.apply(fleet_of(spec("a", on_give_up=("notify", "a")), max_restarts=3))
    world.pass_ms(60_000)
    assert len(world.events(ComponentStartRequested)) == 4
    assert world.phases("a") == {"a": "given_up"}


def test_beyond_intensity_the_whole_group_is_stopped_in_reverse_order_and_other_groups_run_on(
    world: Any, spec: Any, fleet_of: Any
) -> None:
    world.apply(fleet_of(spec("a"), spec("b"), spec("c"), spec("other", "back"), max_restarts=0))
    world.crash("b")
    world.pass_ms(1_000)
    assert ended(world) == ["b", "c", "a"]
    assert world.running() == {"other": 1}
    assert world.phases("a", "b", "c") == dict.fromkeys(("a", "b", "c"), "given_up")


def test_giving_up_is_loud(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a", on_give_up=("notify-send", "a is down")), max_restarts=0))
    world.crash("a")
    assert [hook.command for hook in world.host.hooks] == [("notify-send", "a is down")]
    assert world.host.hooks[0].environment["HMS_COMPONENT"] == "a"
    assert len(world.events(GroupGaveUp)) == len(world.events(ComponentGivenUp)) == 1
    assert [(notice.stage, notice.outcome) for notice in world.recoveries()] == [("completed", "given_up")]
    assert world.describe("a").health == "critical"


def test_a_given_up_component_is_started_by_a_reset_only(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), spec("b"), max_restarts=0))
    world.crash("a")
    world.pass_ms(60_000)
    assert world.ask("component/a", StartComponent()) == "given_up"
    assert world.ask("component/a", RestartComponent()) == "given_up"
    world.ask("component/a", ResetComponent(who="op"))
    assert world.running() == {"a": 2, "b": 2}
    assert world.describe("b").given_up == ""


def test_a_component_wished_down_stays_down_through_a_group_restart(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), spec("b"), strategy="one_for_all"))
    world.ask("component/b", StopComponent(who="op"))
    assert world.running() == {"a": 1}
    world.crash("a")
    world.pass_ms(1_000)
    assert world.running() == {"a": 2}
    assert world.events(RestartCounted)[0].component == "a"
    world.ask("component/b", StartComponent(who="op"))
    assert world.running() == {"a": 2, "b": 2}


def test_an_operators_stop_is_neither_a_failure_nor_counted(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), spec("b"), strategy="one_for_all", max_restarts=0))
    world.ask("component/a", StopComponent())
    world.pass_ms(60_000)
    assert world.running() == {"b": 1}
    assert world.events(GroupRestarting) == []


def test_an_operators_restart_concerns_one_component_and_is_not_counted(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), spec("b"), strategy="one_for_all", max_restarts=0))
    world.ask("component/a", RestartComponent(who="op"))
    assert world.running() == {"a": 2, "b": 1}
    assert world.describe("a").restart_count == 0


def test_an_operators_start_runs_a_finished_component_once_more(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("job", restart="transient"), spec("t", restart="temporary")))
    world.crash("job", code=0)
    world.crash("t", code=1)
    world.ask("component/job", StartComponent())
    world.ask("component/t", StartComponent())
    assert world.running() == {"job": 2, "t": 2}


def test_the_backoff_doubles_up_to_its_maximum_and_begins_anew_after_stable_health(
    world: Any, spec: Any, fleet_of: Any
) -> None:
    world.apply(fleet_of(spec("a"), max_restarts=100))
    for _ in range(9):
        world.crash("a")
        world.pass_ms(10_000)
        assert world.running()["a"]
    waits = [step.delay_ms for event in world.events(GroupRestarting) for step in event.plan.steps if step.delay_ms]
    assert waits == [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]
    world.pass_ms(11_000)
    world.crash("a")
    assert world.events(GroupRestarting)[-1].plan.steps[0].delay_ms == 100


def test_starts_that_never_become_stable_give_up_even_within_the_intensity(
    world: Any, spec: Any, fleet_of: Any
) -> None:
    backoff = Backoff(first_ms=100, max_ms=1_000, jitter=0, stable_ms=60_000)
    world.apply(fleet_of(spec("a", backoff=backoff), max_restarts=1, max_seconds=1))
    for _ in range(10):
        world.crash("a")
        world.pass_ms(15_000)
        assert world.phases("a") == {"a": "running"}
    world.crash("a")
    assert world.phases("a") == {"a": "given_up"}
    assert "11 starts in a row without 60000 ms of health" in world.describe("a").given_up


def test_the_plan_of_a_restart_is_in_the_log(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), spec("b"), strategy="one_for_all"))
    world.crash("a")
    plan = world.events(GroupRestarting)[0].plan
    assert [(step.action, step.component) for step in plan.steps] == [
        ("stop", "b"),
        ("wait", "a"),
        ("start", "a"),
        ("start", "b"),
        ("ready", "a"),
    ]
    assert plan.expected == {"b": 1}
    assert {event.plan.kind for event in world.events(GroupStarting)} == {"start"}


def test_what_the_host_stopped_by_itself_is_started_again_uncounted(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a", restart="transient"), max_restarts=0))
    world.crash("a", signal="TERM", seen="stopped")
    (end,) = (event.exit for event in world.events(ComponentExited))
    assert (end.expected, end.counted) == (True, False)
    assert world.running() == {"a": 2}
    assert world.events(RestartCounted) == []
    assert world.events(GroupRestarting) == []
