"""What the agent answers to commands, and how facts become reports."""

from typing import Any

import pytest

from hms.actors.agent.reports import Stamp, answers, live, report, report_id
from hms.actors.host import BecameReady, ComponentState, Exited, LivenessFailed, Started, StartFailed
from hms.schemas.component_reports import ComponentCommand, ReportExit, ReportProbe, ReportStarted, ReportStartFailed
from hms.schemas.fleet import ComponentSpec

STAMP = Stamp("here", session=3, sequence=17)
FACT = {"host": "here", "component": "web", "incarnation": 5, "attempt": 0, "session": 3, "sequence": 9, "at": 1}


def command(incarnation: int, desired: str = "up") -> ComponentCommand:
    spec = ComponentSpec(id="web", command=("sleep", "1"))
    return ComponentCommand(
        component="web", incarnation=incarnation, revision=0, desired=desired, spec_hash="h", spec=spec
    )


def state(**fields: Any) -> ComponentState:
    known = {"component": "web", "incarnation": 5, "desired": "up", "spec_hash": "h", "phase": "running"}
    run = {"running_incarnation": 5, "boot_id": "boot", "pid": 42, "start_ticks": 7, "ready": True}
    return ComponentState.model_validate({**known, **run, **fields})


def exited(**fields: Any) -> Exited:
    how = {"code": 0, "signal": None, "unknown": False, "oom": False, "expected": False, "restarting": False}
    rest = {"seen": "live", "ran_ms": 1, "cpu_ms": 1, "rss_bytes_max": 1, "last_output": (), "left": ()}
    return Exited.model_validate({**FACT, **how, **rest, **fields})


def test_an_up_of_what_runs_is_answered_by_started_and_ready_again() -> None:
    started, ready = answers(command(5), state(), STAMP)
    assert isinstance(started, ReportStarted)
    assert (started.pid, started.start_ticks, started.session, started.sequence) == (42, 7, 3, 17)
    assert isinstance(ready, ReportProbe)
    assert (ready.probe, ready.passed) == ("readiness", True)


def test_not_being_ready_yet_is_not_told_again() -> None:
    assert [type(one) for one in answers(command(5), state(ready=False), STAMP)] == [ReportStarted]


@pytest.mark.parametrize("phase", ["starting", "stopping", "restarting"])
def test_while_the_next_fact_is_on_its_way_nothing_is_answered(phase: str) -> None:
    assert answers(command(5), state(phase=phase), STAMP) == ()


def test_a_command_for_what_is_over_is_answered_by_its_end_again() -> None:
    (end,) = answers(command(5, "down"), state(phase="exited", code=3, started_at=1_000, ended_at=6_000), STAMP)
    assert isinstance(end, ReportExit)
    assert (end.code, end.ran_ms, end.seen) == (3, 5, "live")


def test_a_command_for_what_could_not_start_is_answered_by_the_reason_again() -> None:
    (end,) = answers(command(5), state(phase="start_failed", reason="no such file"), STAMP)
    assert isinstance(end, ReportStartFailed)
    assert end.reason == "no such file"


def test_a_down_of_what_was_never_here_is_answered_by_an_unknown_end() -> None:
    (end,) = answers(command(6, "down"), state(phase="down", incarnation=6, desired="down"), STAMP)
    assert isinstance(end, ReportExit)
    assert end.unknown


def test_an_up_of_an_older_incarnation_is_answered_by_the_newest_one_seen() -> None:
    (end,) = answers(command(4), state(), STAMP)
    assert isinstance(end, ReportStartFailed)
    assert end.newest_incarnation == 5


def test_an_up_that_is_about_to_begin_is_not_answered_yet() -> None:
    assert answers(command(6), state(incarnation=6, phase="exited"), STAMP) == ()


def test_what_is_journalled_and_not_begun_counts_as_live_and_what_is_over_does_not() -> None:
    assert live(state(incarnation=6, phase="exited")) == 6
    assert live(state(phase="exited")) is None
    assert live(state(phase="stopping", desired="down")) == 5
    assert live(state(phase="down", desired="down", running_incarnation=-1)) is None


def test_an_end_brought_about_here_is_not_counted_and_one_of_its_own_is() -> None:
    told = [report(exited(expected=True)), report(exited()), report(exited(expected=True, seen="reboot"))]
    assert [one.seen for one in told if isinstance(one, ReportExit)] == ["stopped", "live", "reboot"]


def test_a_start_is_told_anew_by_each_agent_and_an_end_once_for_ever() -> None:
    started = Started(**FACT, boot_id="b", pid=1, start_ticks=1)
    assert report_id(started) != report_id(started.model_copy(update={"session": 4}))
    assert report_id(exited()) == report_id(exited(session=4, sequence=1))


def test_probes_are_told_by_their_names() -> None:
    told = [report(BecameReady(**FACT)), report(LivenessFailed(**FACT, reason="stopped"))]
    assert [(one.probe, one.passed, one.message) for one in told if isinstance(one, ReportProbe)] == [
        ("readiness", True, ""),
        ("liveness", False, "stopped"),
    ]


def test_a_start_that_failed_while_the_log_was_away_says_that_the_host_goes_on() -> None:
    told = report(StartFailed(**FACT, reason="no memory", restarting=True))
    assert isinstance(told, ReportStartFailed)
    assert told.restarting
