"""What OTP never meets, because its children are linked and its mail is not lost: the log is asynchronous."""

from typing import Any

import pytest

from hms.schemas.component import (
    PauseComponent,
    RestartComponent,
    ResumeComponent,
    StartComponent,
    StopComponent,
)
from hms.schemas.component_events import (
    ComponentBecameKnown,
    ComponentBecameUnknown,
    ComponentExited,
    ComponentMissed,
    ComponentStarted,
    ComponentStopRequested,
    ProbeChanged,
    StaleReportIgnored,
    StrayFound,
)
from hms.schemas.component_reports import ComponentHeartbeat, ReportExit, ReportStarted
from hms.schemas.group_events import GroupGaveUp, GroupRestarting, MemberHeld, PlanAdvanced, RestartCounted
from hms.schemas.recovery import HealthNotification, RecoverComponent


def test_a_report_of_a_stale_incarnation_is_recorded_and_ignored(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a")))
    world.crash("a")
    world.pass_ms(1_000)
    late = ReportExit(host="h1", incarnation=1, session=1, sequence=900, code=9)
    world.tell("component/a", late, "agent/h1")
    world.pass_ms(1_000)
    assert world.events(StaleReportIgnored) == [StaleReportIgnored(report="ReportExit", incarnation=1, current=2)]
    assert world.running() == {"a": 2}
    assert len(world.events(RestartCounted)) == 1


def test_a_repeated_report_changes_nothing(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a")))
    before = len(world.history["component/a"])
    world.host.restart_agent()
    world.run()
    assert len(world.history["component/a"]) == before


def test_a_start_that_is_reported_after_its_own_exit_is_not_believed(world: Any, spec: Any, fleet_of: Any) -> None:
    world.lossy = True
    world.apply(fleet_of(spec("a")))
    command = world.held_back.pop(0)
    world.host.take(command[1])
    world.host.end("a", code=1)
    started, ready, ended = world.held_back
    world.lossy = False
    world.mail.extend([ended, ready, started])
    world.run()
    assert world.events(StaleReportIgnored)[-1].report == "ReportStarted"
    world.pass_ms(1_000)
    assert world.running() == {"a": 2}


def test_a_crash_during_a_group_restart_counts_and_the_restart_begins_again(
    world: Any, spec: Any, fleet_of: Any
) -> None:
    world.host.never_ready.add("a")
    world.apply(fleet_of(spec("a"), spec("b"), spec("c"), strategy="one_for_all", max_restarts=5))
    world.crash("c")
    world.pass_ms(100)
    assert world.running() == {"a": 2, "b": 2, "c": 2}
    world.host.never_ready.clear()
    world.crash("b")
    world.pass_ms(5_000)
    assert world.running() == {"a": 3, "b": 3, "c": 3}
    assert len(world.events(RestartCounted)) == 2


def test_a_member_that_crashes_before_the_plan_stops_it_does_not_count(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), spec("b"), spec("c"), strategy="one_for_all", max_restarts=1))
    world.host.hangs.add("c")
    world.crash("b")
    world.crash("a")
    world.host.hangs.clear()
    world.host.end("c", signal="KILL")
    world.pass_ms(5_000)
    assert world.running() == {"a": 2, "b": 2, "c": 2}
    assert len(world.events(RestartCounted)) == 1


def test_a_node_that_dies_after_two_of_three_stops_goes_on_where_the_plan_was(
    world: Any, spec: Any, fleet_of: Any
) -> None:
    world.apply(fleet_of(*(spec(name) for name in "abcd"), strategy="one_for_all"))
    world.host.hangs.add("b")
    world.crash("a")
    stopped = [event.exit.incarnation for event in world.events(ComponentExited)]
    assert len(stopped) == 3
    cursor = world.events(PlanAdvanced, "group/front")[-1].cursor
    world.mail.clear()
    world.restart_node()
    world.host.hangs.clear()
    world.host.end("b", signal="KILL")
    world.pass_ms(10_000)
    assert cursor == 2
    assert world.running() == {"a": 2, "b": 2, "c": 2, "d": 2}
    assert len(world.events(GroupRestarting)) == 1
    assert len(world.events(RestartCounted)) == 1


def test_a_command_that_was_lost_is_said_again(world: Any, spec: Any, fleet_of: Any) -> None:
    world.connected = False
    world.apply(fleet_of(spec("a")))
    world.held_back.clear()
    world.connected = True
    world.pass_ms(5_000)
    assert world.running() == {"a": 1}


def test_an_exit_whose_report_was_lost_is_found_by_the_inventory(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a")))
    world.host.end_unseen("a")
    world.pass_ms(16_000)
    assert len(world.events(ComponentMissed)) == 1
    assert world.events(ComponentExited)[0].exit.cause == "unknown"
    assert world.running() == {"a": 2}
    assert len(world.events(RestartCounted)) == 1


def test_after_a_reboot_everything_is_started_again_and_nothing_is_counted(
    world: Any, spec: Any, fleet_of: Any
) -> None:
    world.apply(fleet_of(spec("a"), spec("b"), spec("c"), strategy="one_for_all", max_restarts=0))
    world.host.reboot()
    world.pass_ms(10_000)
    assert world.running() == {"a": 2, "b": 2, "c": 2}
    assert world.events(RestartCounted) == []


def test_a_reboot_that_only_the_inventory_tells_of_is_not_counted_either(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), max_restarts=0))
    world.host.boot, world.host.session = 2, 2
    world.host.end_unseen("a")
    world.pass_ms(6_000)
    assert world.running() == {"a": 2}
    assert world.events(RestartCounted) == []


def test_a_silent_host_makes_components_unknown_and_restarts_none(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), spec("b")))
    world.pass_ms(1_000)
    world.connected = False
    world.pass_ms(120_000)
    assert world.phases("a", "b") == {"a": "unknown", "b": "unknown"}
    assert world.describe("a").health == "unknown"
    world.connected = True
    world.pass_ms(6_000)
    assert world.running() == {"a": 1, "b": 1}
    assert world.phases("a", "b") == {"a": "running", "b": "running"}
    assert len(world.events(ComponentBecameUnknown)) == len(world.events(ComponentBecameKnown)) == 2


def test_a_component_that_died_while_its_host_was_silent_is_reconciled(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a")))
    world.pass_ms(1_000)
    world.connected = False
    world.pass_ms(60_000)
    world.host.end("a", code=3)
    world.held_back.clear()
    world.connected = True
    world.pass_ms(20_000)
    assert world.running() == {"a": 2}
    assert world.events(ComponentExited)[0].exit.code == 3


def test_a_process_that_should_be_down_is_stopped(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a")))
    forged = ReportExit(host="h1", incarnation=1, session=1, sequence=50, unknown=True)
    world.ask("component/a", StopComponent())
    assert world.running() == {}
    world.ask("component/a", StartComponent())
    world.tell("component/a", forged.model_copy(update={"incarnation": 2}), "agent/h1")
    world.host.sequence = 100
    world.pass_ms(30_000)
    assert world.running() == {"a": 3}
    assert world.events(ComponentStopRequested)[-1].reason == "it should be down"


def test_a_process_of_no_component_is_commanded_down(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a")))
    world.host.runs["ghost"] = type(world.host.runs["a"])(incarnation=7, desired="up", live=True)
    world.pass_ms(6_000)
    assert world.running() == {"a": 1}


def test_a_host_with_newer_incarnations_than_the_log_is_caught_up_with(world: Any, spec: Any, fleet_of: Any) -> None:
    world.host.runs["a"] = world.host.runs.get("a") or _old_run(world)
    world.apply(fleet_of(spec("a")))
    world.pass_ms(20_000)
    assert world.events(StrayFound)[0].incarnation == 12
    assert world.running() == {"a": 13}
    assert world.events(RestartCounted) == []


def _old_run(world: Any) -> Any:
    from hms.schemas.component_reports import ComponentCommand  # noqa: PLC0415

    command = ComponentCommand(component="a", incarnation=12, revision=9, desired="up", spec_hash="", spec=None)
    world.host.take(command)
    world.mail.clear()
    run = world.host.runs["a"]
    run.live = True
    return run


def test_pause_holds_healing_and_resume_heals(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), spec("b"), strategy="one_for_all"))
    world.ask("component/a", PauseComponent(who="op"))
    world.crash("a")
    world.pass_ms(60_000)
    assert world.running() == {"b": 1}
    assert len(world.events(MemberHeld)) == 1
    world.ask("component/a", ResumeComponent(who="op"))
    world.pass_ms(1_000)
    assert world.running() == {"a": 2, "b": 2}


def test_a_paused_sibling_is_left_alone_by_a_group_restart(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), spec("b"), strategy="one_for_all"))
    world.ask("component/b", PauseComponent())
    world.crash("a")
    world.pass_ms(1_000)
    assert world.running() == {"a": 2, "b": 1}


def test_an_operators_restart_does_not_wait_for_the_backoff(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a")))
    world.crash("a")
    world.ask("component/a", RestartComponent(who="op"))
    assert world.running() == {"a": 2}
    world.pass_ms(60_000)
    assert world.running() == {"a": 2}
    assert [notice.outcome for notice in world.recoveries()] == ["", "superseded"]


def test_a_component_wished_down_during_its_backoff_is_not_restarted(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a")))
    world.crash("a")
    world.ask("component/a", StopComponent())
    world.pass_ms(60_000)
    assert world.running() == {}
    assert world.recoveries()[-1].outcome == "ignored"


def test_a_restart_by_the_host_itself_is_recorded_and_counted_but_not_acted_upon(
    world: Any, spec: Any, fleet_of: Any
) -> None:
    world.apply(fleet_of(spec("a"), max_restarts=2))
    assert world.host.commands[-1].budget_count == 2
    world.host.local_restart("a")
    world.run()
    assert world.describe("a").restart_count == 1
    assert world.running() == {"a": 1}
    world.host.local_restart("a")
    world.host.local_restart("a")
    world.run()
    assert len(world.events(RestartCounted)) == 3
    assert world.phases("a") == {"a": "given_up"}
    assert world.running() == {}


def test_a_sick_component_is_recovered_through_its_group_and_counted(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), spec("b"), strategy="one_for_all"))
    world.host.sicken("a")
    world.run()
    assert world.describe("a").health == "degraded"
    world.pass_ms(1_000)
    assert world.running() == {"a": 2, "b": 2}
    assert len(world.events(RestartCounted)) == 1
    assert [(each.component, each.outcome, each.incarnation) for each in world.outcomes()] == [("a", "healed", 2)]
    words = [notice.status for notice in world.notices if isinstance(notice, HealthNotification)]
    assert words == ["Critical", "Healthy"]


def test_a_limit_that_is_exceeded_is_an_illness(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a")))
    world.host.exceed("a")
    world.pass_ms(1_000)
    assert world.running() == {"a": 2}
    note = next(notice for notice in world.notices if isinstance(notice, HealthNotification))
    assert note.message == "rss_mb is 300, more than 200"


def test_an_illness_that_nobody_acts_on_is_told_again(world: Any, spec: Any, fleet_of: Any) -> None:
    world.heals_illness = False
    world.apply(fleet_of(spec("a")))
    world.host.sicken("a")
    world.pass_ms(65_000)
    assert [note.status for note in world.notices if isinstance(note, HealthNotification)] == ["Critical"] * 3
    assert len([event for event in world.events(ProbeChanged) if event.probe == "liveness"]) == 1
    assert world.describe("a").health == "critical"


@pytest.mark.parametrize(
    ("prepare", "incarnation", "reason"),
    [
        (PauseComponent(), 1, "paused"),
        (StopComponent(), 1, "desired down"),
        (None, 7, "stale incarnation"),
    ],
)
def test_a_recovery_that_makes_no_sense_is_ignored_with_a_reason(
    world: Any, spec: Any, fleet_of: Any, prepare: Any, incarnation: int, reason: str
) -> None:
    world.apply(fleet_of(spec("a")))
    if prepare is not None:
        world.ask("component/a", prepare)
    world.tell("group/front", RecoverComponent(component="a", incarnation=incarnation, reason="x", task_id="t1"))
    world.run()
    (outcome,) = world.outcomes()
    assert (outcome.outcome, outcome.task_id) == ("ignored", "t1")
    assert outcome.reason.startswith(reason)


def test_every_recovery_gets_exactly_one_outcome(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), max_restarts=1))
    for task in ("t1", "t2"):
        world.tell("component/a", RecoverComponent(component="a", incarnation=None, reason="x", task_id=task))
        world.run()
    world.pass_ms(5_000)
    world.tell("component/a", RecoverComponent(component="a", incarnation=None, reason="x", task_id="t3"))
    world.tell("component/nobody", RecoverComponent(component="nobody", incarnation=None, reason="x", task_id="t4"))
    world.run()
    assert {each.task_id: each.outcome for each in world.outcomes()} == {
        "t1": "healed",
        "t2": "ignored",
        "t3": "given_up",
        "t4": "ignored",
    }
    assert len(world.outcomes()) == 4
    assert len(world.events(GroupGaveUp)) == 1


def test_a_heartbeat_changes_nothing_and_costs_no_event(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a")))
    decision = world.tell("component/a", ComponentHeartbeat(incarnation=1, pid=101), "agent/h1")
    assert (decision.events, decision.sends, decision.timers) == ((), (), ())


def test_two_agents_reports_of_one_start_are_one_event(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a")))
    again = ReportStarted(host="h1", incarnation=1, session=2, sequence=1, boot_id="boot-1", pid=101, start_ticks=101)
    world.tell("component/a", again, "agent/h1")
    assert len(world.events(ComponentStarted)) == 1
