"""The queue of the meta supervisor: who gets which task when, and how each one ends exactly once."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from hms.actors.meta import meta_supervisor
from hms.actors.meta.dispatch import PATIENCE
from hms.actors.meta.state import ACTIVE_MAX, FINISHED_MAX
from hms.core.decision import Decision
from hms.schemas.administrative import SupervisorRegistration
from hms.schemas.task import CancelTask, ListTasks, SubmitTask, TaskStatus
from hms.schemas.task_event import TaskAssigned, TaskCancelled, TaskCompleted, TaskFailed, TaskReleased, TaskTimedOut
from hms.schemas.task_protocol import (
    TaskAcceptance,
    TaskAssignment,
    TaskCancellation,
    TaskCompletion,
    TaskFailure,
    TaskProgress,
    TaskRejection,
)
from hms.schemas.task_record import OpenTask, RecordTask, TaskExists, TaskOpened

RUNTIME = "runtime_supervisor/main"
RECOVERY = json.dumps({"component_id": "web"})


@pytest.fixture
def meta(desk: Callable[[Any], Any]) -> Any:
    """A meta supervisor that knows one runtime supervisor, which takes one task at a time."""
    meta = desk(meta_supervisor)
    register(meta)
    return meta


def register(meta: Any, name: str = "runtime_supervisor", *capabilities: str, max_tasks: int = 1) -> None:
    takes = capabilities or ("Recovery", "Cleanup")
    registration = SupervisorRegistration(
        supervisor_id=name, supervisor_type="runtime", capabilities=takes, max_tasks=max_tasks
    )
    assert meta.tell(registration, f"{name}/main").refusal is None


def submit(meta: Any, task_id: str, **fields: Any) -> Decision[Any]:
    values = {"id": task_id, "type": "Recovery", "parameters_json": RECOVERY, **fields}
    decision: Decision[Any] = meta.tell(SubmitTask.model_validate(values))
    if decision.refusal is None:
        meta.tell(TaskOpened(task_id=task_id), f"task/{task_id}")
    return decision


def complete(meta: Any, task_id: str, attempt: int = 1, sender: str = RUNTIME) -> None:
    meta.tell(TaskCompletion(task_id=task_id, attempt=attempt, result_json='{"ok":true}'), sender)


def assigned(meta: Any) -> list[str]:
    return [event.task_id for event in meta.events if isinstance(event, TaskAssigned)]


def recorded(meta: Any, task_id: str) -> TaskStatus:
    """What `task/ID` was told last."""
    last: TaskStatus = meta.sent_to(f"task/{task_id}", RecordTask)[-1].task
    return last


def ends(meta: Any) -> list[tuple[str, str]]:
    kinds = (TaskCompleted, TaskFailed, TaskCancelled, TaskTimedOut)
    return [(type(event).__name__, event.task_id) for event in meta.events if isinstance(event, kinds)]


def test_a_task_goes_from_submission_to_its_result(meta: Any) -> None:
    reply = submit(meta, "a", priority="High", timeout_ms=60_000).reply
    assert isinstance(reply, TaskStatus)
    assert (reply.status, reply.priority, reply.assigned_to) == ("pending", "high", None)
    [assignment] = meta.sent_to(RUNTIME, TaskAssignment)
    assert (assignment.task_id, assignment.task_type, assignment.attempt) == ("a", "Recovery", 1)
    assert recorded(meta, "a").status == "assigned"
    meta.tell(TaskAcceptance(task_id="a", attempt=1), RUNTIME)
    assert recorded(meta, "a").status == "running"
    meta.tell(TaskProgress(task_id="a", attempt=1, progress=0.5, message="half"), RUNTIME)
    assert (recorded(meta, "a").progress, recorded(meta, "a").message) == (0.5, "half")
    complete(meta, "a")
    last = recorded(meta, "a")
    assert (last.status, last.result_json, last.progress, last.assigned_to, last.error, last.finished_at) == (
        ("completed", '{"ok":true}', 1.0, "runtime_supervisor", None, meta.now)
    )
    assert not meta.state.tasks
    assert "deadline:a" not in meta.timers


def test_a_task_is_not_assigned_before_its_own_record_has_begun(meta: Any) -> None:
    meta.tell(SubmitTask(id="a", type="Recovery", parameters_json=RECOVERY))
    assert assigned(meta) == []
    assert len(meta.sent_to("task/a", OpenTask)) == 1
    meta.tell(TaskOpened(task_id="a"), "task/a")
    assert assigned(meta) == ["a"]


def test_an_assignment_travels_on_the_lane_of_its_priority(meta: Any) -> None:
    submit(meta, "a", priority="critical")
    assert [send.priority for send in meta.sent if isinstance(send.message, TaskAssignment)] == ["critical"]


def test_the_same_id_and_content_is_the_same_task(meta: Any) -> None:
    submit(meta, "a")
    again = submit(meta, "a")
    assert again.events == ()
    assert isinstance(again.reply, TaskStatus)
    assert again.reply.status == "assigned"
    complete(meta, "a")
    ended = submit(meta, "a").reply
    assert isinstance(ended, TaskStatus)
    assert ended.status == "completed"
    assert assigned(meta) == ["a"]


def test_the_same_id_with_another_content_is_refused(meta: Any) -> None:
    submit(meta, "a")
    running = submit(meta, "a", priority="low").refusal
    complete(meta, "a")
    ended = submit(meta, "a", priority="low").refusal
    assert running is not None
    assert ended is not None
    assert running.code == ended.code == "task_exists"


def test_a_task_that_ended_longer_ago_than_the_queue_remembers_does_not_run_again(meta: Any) -> None:
    meta.tell(SubmitTask(id="a", type="Recovery", parameters_json=RECOVERY))
    fingerprint = meta.state.tasks["a"].fingerprint
    submit(meta, "b", dependencies=("a",))
    old = TaskStatus(id="a", type="Recovery", status="completed", priority="normal", submitted_at=meta.now)
    meta.tell(TaskExists(task=old, fingerprint=fingerprint), "task/a")
    assert assigned(meta) == ["b"], "the dependency is met, by the old run"


def test_an_id_that_another_content_had_long_ago_fails_with_that_reason(meta: Any) -> None:
    meta.tell(SubmitTask(id="a", type="Recovery", parameters_json=RECOVERY))
    old = TaskStatus(id="a", type="Recovery", status="completed", priority="normal", submitted_at=meta.now)
    meta.tell(TaskExists(task=old, fingerprint="another"), "task/a")
    assert ends(meta) == [("TaskFailed", "a")]
    assert meta.events[-1].error_code == "task_exists"
    assert assigned(meta) == []


def test_the_highest_priority_goes_first_and_then_the_first_that_came(meta: Any) -> None:
    submit(meta, "running")
    for name, priority in [("l", "Low"), ("n1", "Medium"), ("h", "High"), ("n2", "normal"), ("c", "critical")]:
        submit(meta, name, priority=priority)
    while meta.state.tasks:
        complete(meta, assigned(meta)[-1])
    assert assigned(meta) == ["running", "c", "h", "n1", "n2", "l"]


def test_a_low_task_is_passed_over_for_a_while_but_not_for_ever(meta: Any) -> None:
    submit(meta, "running")
    submit(meta, "low", priority="low")
    for number in range(PATIENCE + 10):
        submit(meta, f"high{number}", priority="high")
        complete(meta, assigned(meta)[-1])
    assert assigned(meta).index("low") == PATIENCE + 1


def test_a_supervisor_never_has_more_than_it_takes(meta: Any) -> None:
    register(meta, "second", "Cleanup", max_tasks=2)
    for number in range(6):
        submit(meta, f"t{number}", type="Cleanup", parameters_json="{}")
    assert len(assigned(meta)) == 3
    assert {entry: len(meta.state.tasks_of(entry)) for entry in meta.state.supervisors} == {
        "runtime_supervisor": 1,
        "second": 2,
    }


def test_a_task_waits_for_what_it_depends_on(meta: Any) -> None:
    submit(meta, "a")
    reply = submit(meta, "b", dependencies=("a",), priority="critical").reply
    assert isinstance(reply, TaskStatus)
    assert reply.status == "blocked"
    assert "deadline:b" not in meta.timers, "its time runs from when it is ready"
    complete(meta, "a")
    assert assigned(meta) == ["a", "b"]
    assert recorded(meta, "b").status == "assigned"
    assert "deadline:b" in meta.timers


def test_a_dependency_that_is_over_is_met(meta: Any) -> None:
    submit(meta, "a")
    complete(meta, "a")
    submit(meta, "b", dependencies=("a",))
    assert assigned(meta) == ["a", "b"]


@pytest.mark.parametrize("end", ["failed", "cancelled", "timed_out"])
def test_what_depends_on_a_task_that_did_not_complete_fails_with_the_reason(meta: Any, end: str) -> None:
    submit(meta, "a", timeout_ms=1_000)
    submit(meta, "b", dependencies=("a",))
    submit(meta, "c", dependencies=("b",))
    if end == "failed":
        meta.tell(TaskFailure(task_id="a", attempt=1, error="broken"), RUNTIME)
    elif end == "cancelled":
        meta.tell(CancelTask(task_id="a", reason="broken"))
    else:
        meta.advance(1_000)
    assert not meta.state.tasks
    for name in ("b", "c"):
        assert recorded(meta, name).status == "failed"
        assert f"dependency a ended {end}" in str(recorded(meta, name).error)
    late = submit(meta, "d", dependencies=("a",)).reply
    assert isinstance(late, TaskStatus)
    assert late.status == "failed"


def test_a_chain_of_hundreds_fails_in_one_decision(meta: Any) -> None:
    submit(meta, "t0")
    for number in range(1, 600):
        submit(meta, f"t{number}", dependencies=(f"t{number - 1}",))
    meta.tell(TaskFailure(task_id="t0", attempt=1, error="broken"), RUNTIME)
    assert not meta.state.tasks
    assert len(ends(meta)) == 600
    assert len(meta.state.finished) == FINISHED_MAX


@pytest.mark.parametrize("dependency", ["nobody", "a"])
def test_a_dependency_must_exist_so_that_there_are_no_cycles(meta: Any, dependency: str) -> None:
    refusal = submit(meta, "a", dependencies=(dependency,)).refusal
    assert refusal is not None
    assert refusal.code == "unknown_dependency"


@pytest.mark.parametrize(
    ("task_type", "parameters", "kind"),
    [
        (
            "Optimization",
            {
                "target": "performance",
                "components": ["db_service"],
                "max_generations": 10,
                "population_size": 20,
                "evaluation_criteria": ["throughput"],
            },
            "ga",
        ),
        (
            "Governance",
            {"policy_type": "security", "components": ["all"], "generate_report": True, "alert_on_violation": True},
            "gov",
        ),
    ],
)
def test_a_task_without_its_supervisor_is_refused_with_what_is_missing(
    meta: Any, task_type: str, parameters: dict[str, Any], kind: str
) -> None:
    refusal = submit(meta, "a", type=task_type, parameters_json=json.dumps(parameters)).refusal
    assert refusal is not None
    assert refusal.code == "no_supervisor"
    assert f"a supervisor of type {kind}, and none is registered" in refusal.reason
    register(meta, f"{kind}_supervisor", task_type)
    assert submit(meta, "a", type=task_type, parameters_json=json.dumps(parameters)).refusal is None


def test_a_mistyped_task_type_is_refused_with_what_there_is(meta: Any) -> None:
    refusal = submit(meta, "a", type="Recovry").refusal
    assert refusal is not None
    assert refusal.code == "no_supervisor"
    assert "runtime_supervisor (Recovery, Cleanup)" in refusal.reason


def test_parameters_that_do_not_fit_are_refused(meta: Any) -> None:
    refusal = submit(meta, "a", parameters_json='{"max_retries": 3}').refusal
    assert refusal is not None
    assert refusal.code == "validation_error"
    assert "parameters.component_id" in refusal.reason


def test_a_recovery_waits_for_the_runtime_supervisor_to_register(desk: Callable[[Any], Any]) -> None:
    meta = desk(meta_supervisor)
    submit(meta, "a")
    assert assigned(meta) == []
    register(meta)
    assert assigned(meta) == ["a"]


def test_a_full_queue_says_so(meta: Any) -> None:
    for number in range(ACTIVE_MAX):
        assert submit(meta, f"t{number}").refusal is None
    refusal = submit(meta, "one_more").refusal
    assert refusal is not None
    assert refusal.code == "queue_full"


def test_a_task_whose_time_is_up_is_withdrawn(meta: Any) -> None:
    submit(meta, "a", timeout_ms=60_000)
    meta.advance(59_999)
    assert ends(meta) == []
    meta.advance(1)
    assert ends(meta) == [("TaskTimedOut", "a")]
    assert [each.task_id for each in meta.sent_to(RUNTIME, TaskCancellation)] == ["a"]
    assert recorded(meta, "a").error == "not done within 60000 ms"


def test_a_cancelled_task_is_withdrawn_and_its_place_is_free(meta: Any) -> None:
    submit(meta, "a")
    submit(meta, "b")
    reply = meta.tell(CancelTask(task_id="a", reason="not needed")).reply
    assert reply.status == "cancelled"
    assert [each.task_id for each in meta.sent_to(RUNTIME, TaskCancellation)] == ["a"]
    assert assigned(meta) == ["a", "b"]
    again = meta.tell(CancelTask(task_id="a"))
    assert (again.events, again.reply.status) == ((), "cancelled")


def test_a_cancellation_that_overtakes_its_task_ends_it(meta: Any) -> None:
    assert meta.tell(CancelTask(task_id="a", reason="changed my mind")).reply.status == "unknown"
    reply = submit(meta, "a").reply
    assert isinstance(reply, TaskStatus)
    assert reply.status == "cancelled"
    assert assigned(meta) == []
    assert recorded(meta, "a").error == "changed my mind"


def test_a_cancellation_of_nothing_is_forgotten_after_a_minute(meta: Any) -> None:
    meta.tell(CancelTask(task_id="a"))
    meta.now = meta.now.replace(minute=meta.now.minute + 2)
    submit(meta, "a")
    assert assigned(meta) == ["a"]


def test_a_rejected_task_goes_to_another_supervisor_and_fails_when_there_is_none(meta: Any) -> None:
    register(meta, "second", "Recovery")
    submit(meta, "a")
    first = meta.state.tasks["a"].assigned_to
    other = ({"runtime_supervisor", "second"} - {first}).pop()
    meta.tell(TaskRejection(task_id="a", attempt=1, reason="not me"), f"{first}/main")
    assert meta.state.tasks["a"].assigned_to == other
    meta.tell(TaskRejection(task_id="a", attempt=2, reason="nor me"), f"{other}/main")
    assert ends(meta) == [("TaskFailed", "a")]
    assert recorded(meta, "a").error == f"validation_error: rejected by {other}: nor me"


def test_reports_of_others_and_of_former_attempts_change_nothing(meta: Any) -> None:
    register(meta, "second", "Other")
    submit(meta, "a")
    before = len(meta.events)
    for sender, attempt in [("second/main", 1), ("client/test", 1), (RUNTIME, 2)]:
        meta.tell(TaskAcceptance(task_id="a", attempt=attempt), sender)
        meta.tell(TaskProgress(task_id="a", attempt=attempt, progress=1.0), sender)
        meta.tell(TaskFailure(task_id="a", attempt=attempt, error="no"), sender)
        meta.tell(TaskRejection(task_id="a", attempt=attempt, reason="no"), sender)
    complete(meta, "a", sender="second/main")
    complete(meta, "nobody")
    assert meta.events[before:] == []


def test_a_task_whose_supervisor_was_lost_is_done_when_the_lost_one_says_so_after_all(meta: Any) -> None:
    submit(meta, "a")
    meta.advance(40_000)
    assert isinstance(meta.events[-1], TaskReleased)
    register(meta, "second", "Recovery")
    assert meta.state.tasks["a"].assigned_to == "second"
    complete(meta, "a", attempt=1)
    assert ends(meta) == [("TaskCompleted", "a")]
    assert [each.task_id for each in meta.sent_to("second/main", TaskCancellation)] == ["a"]


def test_the_list_shows_what_waits_and_what_ended_last(meta: Any) -> None:
    for name in ("a", "b", "c"):
        submit(meta, name)
    complete(meta, "a")
    complete(meta, "b")
    reply = meta.tell(ListTasks()).reply
    assert [(task.id, task.status) for task in reply.active] == [("c", "assigned")]
    assert [(task.id, task.status) for task in reply.finished] == [("b", "completed"), ("a", "completed")]


def test_the_state_stays_small_however_many_tasks_have_ended(meta: Any) -> None:
    for number in range(FINISHED_MAX * 3):
        submit(meta, f"t{number}")
        complete(meta, f"t{number}")
    assert len(meta.state.finished) == FINISHED_MAX
    assert len(meta.state.model_dump_json()) < 200_000
    assert meta.state.ended == {"completed": FINISHED_MAX * 3}
