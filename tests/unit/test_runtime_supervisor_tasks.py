"""Recovery tasks at the runtime supervisor, and its own life: registration, heartbeats, settings."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hms.actors.runtime import runtime_supervisor
from hms.actors.runtime.order import backoff_ms
from hms.actors.runtime.state import REMEMBERED_MAX
from hms.core.runtime.records import MessageRefused
from hms.schemas.administrative import (
    StartSupervision,
    StopSupervision,
    SupervisorConfiguration,
    SupervisorDeregistration,
    SupervisorHeartbeat,
    SupervisorRegistration,
    SupervisorStatusRequest,
)
from hms.schemas.recovery import RecoverComponent, RecoveryOutcome
from hms.schemas.recovery_event import RecoveryHeld, RecoveryRetryPlanned, SupervisionStarted
from hms.schemas.task_protocol import (
    TaskAcceptance,
    TaskAssignment,
    TaskCancellation,
    TaskCompletion,
    TaskFailure,
    TaskProgress,
    TaskRejection,
)

META = "meta_supervisor/main"
PARAMETERS = {
    "component_id": "api_service",
    "failure_reason": "Connection timeout",
    "max_retries": 3,
    "backoff_strategy": "exponential",
}


@pytest.fixture
def runtime(desk: Callable[[Any], Any]) -> Any:
    return desk(runtime_supervisor)


def assign(runtime: Any, task_id: str = "t", attempt: int = 1, **changes: Any) -> None:
    fields = {
        "task_id": task_id,
        "task_type": "Recovery",
        "priority": "high",
        "parameters_json": json.dumps(PARAMETERS),
        "timeout_ms": 60_000,
        "attempt": attempt,
    }
    runtime.tell(TaskAssignment.model_validate({**fields, **changes}), META)


def hear(runtime: Any, outcome: str = "healed", reason: str = "", task_id: str = "t") -> None:
    message = RecoveryOutcome(component="api_service", incarnation=7, outcome=outcome, reason=reason, task_id=task_id)
    runtime.tell(message, "group/api")


def reports(runtime: Any) -> list[Any]:
    return [each.message for each in runtime.sent if each.to == META]


def orders(runtime: Any) -> list[Any]:
    return list(runtime.sent_to("component/api_service", RecoverComponent))


def test_the_recovery_task_of_the_document_runs_to_its_completion(runtime: Any) -> None:
    assign(runtime)
    assert [type(report) for report in reports(runtime)] == [TaskAcceptance, TaskProgress]
    [order] = orders(runtime)
    reason = "task t: Connection timeout"
    assert order == RecoverComponent(component="api_service", incarnation=None, reason=reason, task_id="t")
    runtime.now += timedelta(milliseconds=900)
    hear(runtime)
    completion = reports(runtime)[-1]
    assert isinstance(completion, TaskCompletion)
    assert json.loads(completion.result_json) == {
        "component_id": "api_service",
        "incarnation": 7,
        "outcome": "healed",
        "attempts": 1,
        "duration_ms": 900,
    }
    assert not runtime.state.tasks
    assert not runtime.state.recoveries
    assert not runtime.timers


def test_a_task_for_a_component_that_nobody_knows_fails(runtime: Any) -> None:
    assign(runtime)
    hear(runtime, "ignored", "component not found")
    failure = reports(runtime)[-1]
    assert failure == TaskFailure(
        task_id="t", attempt=1, error="component not found", error_code="destination_not_found"
    )


@pytest.mark.parametrize("reason", ["paused", "desired down: stopped by anna", "halted"])
def test_a_task_fails_with_the_reason_for_which_the_group_leaves_the_component_alone(runtime: Any, reason: str) -> None:
    assign(runtime)
    hear(runtime, "ignored", reason)
    assert any(isinstance(event, RecoveryHeld) for event in runtime.events)
    assert reports(runtime)[-1] == TaskFailure(task_id="t", attempt=1, error=reason, error_code="recovery_held")


def test_a_task_fails_when_the_component_is_given_up(runtime: Any) -> None:
    assign(runtime)
    hear(runtime, "given_up", "5 restarts in 60 s")
    assert reports(runtime)[-1] == TaskFailure(
        task_id="t", attempt=1, error="5 restarts in 60 s", error_code="given_up"
    )


def test_a_recovery_that_is_in_the_way_is_waited_for_with_growing_pauses(runtime: Any) -> None:
    assign(runtime)
    for _ in range(3):
        hear(runtime, "ignored", "already recovering")
        runtime.advance(4_000)
    assert [event.after_ms for event in runtime.events if isinstance(event, RecoveryRetryPlanned)] == [
        1_000,
        2_000,
        4_000,
    ]
    assert len(orders(runtime)) == 4
    hear(runtime, "ignored", "already recovering")
    assert isinstance(reports(runtime)[-1], TaskFailure)


def test_a_task_without_retries_fails_at_once(runtime: Any) -> None:
    assign(runtime, parameters_json=json.dumps({**PARAMETERS, "max_retries": 0}))
    hear(runtime, "ignored", "already recovering")
    assert isinstance(reports(runtime)[-1], TaskFailure)


def test_a_group_that_never_answers_makes_the_task_fail_after_its_retries(runtime: Any) -> None:
    assign(runtime, parameters_json=json.dumps({**PARAMETERS, "max_retries": 1, "backoff_strategy": "none"}))
    runtime.advance(240_000)
    assert len(orders(runtime)) == 2
    failure = reports(runtime)[-1]
    assert isinstance(failure, TaskFailure)
    assert failure.error_code == "message_timeout"


def test_a_late_outcome_counts_while_the_next_try_is_waited_for(runtime: Any) -> None:
    assign(runtime)
    runtime.advance(120_000)
    hear(runtime)
    assert isinstance(reports(runtime)[-1], TaskCompletion)
    runtime.advance(60_000)
    assert len(orders(runtime)) == 1


@pytest.mark.parametrize(
    ("strategy", "waits"),
    [
        ("exponential", [1_000, 2_000, 4_000, 8_000, 16_000, 30_000]),
        ("linear", [1_000, 2_000, 3_000, 4_000, 5_000, 6_000]),
        ("constant", [1_000] * 6),
        ("none", [0] * 6),
    ],
)
def test_the_pauses_follow_the_strategy(strategy: str, waits: list[int]) -> None:
    assert [backoff_ms(strategy, failed) for failed in range(1, 7)] == waits
    assert backoff_ms(strategy, 100) <= 30_000


def test_a_task_that_is_assigned_again_is_the_same_work(runtime: Any) -> None:
    assign(runtime)
    assign(runtime, attempt=2)
    assert reports(runtime)[-1] == TaskAcceptance(task_id="t", attempt=2)
    assert len(orders(runtime)) == 1
    hear(runtime)
    assert reports(runtime)[-1].attempt == 2


def test_a_task_that_is_over_is_reported_again_and_not_done_again(runtime: Any) -> None:
    assign(runtime)
    hear(runtime)
    assign(runtime, attempt=2)
    first, second = (report for report in reports(runtime) if isinstance(report, TaskCompletion))
    assert (first.attempt, second.attempt, first.result_json) == (1, 2, second.result_json)
    assert len(orders(runtime)) == 1


def test_a_cancelled_task_is_dropped_and_its_outcome_not_reported(runtime: Any) -> None:
    assign(runtime)
    runtime.tell(TaskCancellation(task_id="t", attempt=1, reason="not needed"), META)
    before = len(reports(runtime))
    hear(runtime)
    assert len(reports(runtime)) == before
    assert not runtime.timers
    assert not runtime.state.recoveries


def test_a_cancellation_that_overtakes_its_assignment_is_remembered(runtime: Any) -> None:
    runtime.tell(TaskCancellation(task_id="t", attempt=1), META)
    assign(runtime, attempt=1)
    assert isinstance(reports(runtime)[-1], TaskRejection)
    assert orders(runtime) == []
    assign(runtime, attempt=2)
    assert len(orders(runtime)) == 1, "it cancels its own attempt and those before"


def test_a_cancellation_of_a_former_attempt_does_not_touch_the_later_one(runtime: Any) -> None:
    assign(runtime, attempt=2)
    runtime.tell(TaskCancellation(task_id="t", attempt=1), META)
    assert "t" in runtime.state.tasks


def test_another_type_of_task_is_rejected_with_what_is_missing(runtime: Any) -> None:
    assign(runtime, task_type="Analysis")
    rejection = reports(runtime)[-1]
    assert isinstance(rejection, TaskRejection)
    assert "'Analysis'" in rejection.reason


def test_parameters_that_do_not_fit_are_rejected(runtime: Any) -> None:
    assign(runtime, parameters_json='{"max_retries": 1}')
    rejection = reports(runtime)[-1]
    assert isinstance(rejection, TaskRejection)
    assert "component_id" in rejection.reason


def test_what_is_remembered_stays_bounded(runtime: Any) -> None:
    for number in range(REMEMBERED_MAX + 10):
        assign(runtime, f"t{number}")
        hear(runtime, task_id=f"t{number}")
        runtime.tell(TaskCancellation(task_id=f"early{number}", attempt=1), META)
    assert len(runtime.state.ended) == len(runtime.state.cancelled) == REMEMBERED_MAX


def test_supervision_starts_once_and_registers_each_time_it_is_told(runtime: Any) -> None:
    runtime.tell(StartSupervision())
    runtime.tell(StartSupervision())
    assert runtime.events == [SupervisionStarted(supervisor_id="runtime_supervisor")]
    first, second = reports(runtime)
    assert isinstance(first, SupervisorRegistration)
    assert (first, first.capabilities) == (second, ("Recovery",))


def test_it_beats_at_its_interval_until_it_is_stopped(runtime: Any) -> None:
    runtime.tell(StartSupervision())
    runtime.advance(30_000)
    assert len(runtime.sent_to(META, SupervisorHeartbeat)) == 3
    runtime.tell(StopSupervision(reason="maintenance"))
    assert isinstance(reports(runtime)[-1], SupervisorDeregistration)
    runtime.advance(60_000)
    assert len(runtime.sent_to(META, SupervisorHeartbeat)) == 3
    runtime.tell(StopSupervision())
    assert len(runtime.sent_to(META, SupervisorDeregistration)) == 1


def test_it_registers_again_when_the_meta_supervisor_does_not_know_it(runtime: Any) -> None:
    refusal = MessageRefused(message_id="m", code="supervisor_not_found", reason="who are you?")
    runtime.tell(refusal, META)
    assert reports(runtime) == []
    runtime.tell(StartSupervision())
    runtime.tell(refusal, META)
    assert [type(report) for report in reports(runtime)] == [SupervisorRegistration] * 2


def test_settings_take_effect_at_once(runtime: Any) -> None:
    runtime.tell(StartSupervision())
    runtime.tell(SupervisorConfiguration(settings={"heartbeat_interval_ms": "2000"}), META)
    assert reports(runtime)[-1].heartbeat_interval_ms == 2_000
    runtime.advance(4_000)
    assert len(runtime.sent_to(META, SupervisorHeartbeat)) == 2
    assert runtime.tell(SupervisorStatusRequest()).reply.settings["heartbeat_interval_ms"] == "2000"


@pytest.mark.parametrize(
    "settings",
    [
        {"colour": "blue"},
        {"heartbeat_interval_ms": "999"},
        {"answer_timeout_ms": "soon"},
        {"answer_timeout_ms": "9" * 30},
    ],
)
def test_settings_that_do_not_fit_are_refused_whole(runtime: Any, settings: dict[str, str]) -> None:
    refusal = runtime.tell(SupervisorConfiguration(settings={"heartbeat_interval_ms": "2000", **settings})).refusal
    assert refusal is not None
    assert refusal.code == "validation_error"
    assert runtime.state.settings["heartbeat_interval_ms"] == "10000"
