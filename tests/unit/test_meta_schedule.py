"""Tasks with a time: one that waits for it, and schedules."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hms.actors.meta import meta_supervisor
from hms.core.testing.given import EPOCH
from hms.schemas.administrative import SupervisorHeartbeat, SupervisorRegistration
from hms.schemas.task import CancelTask, SubmitTask, TaskSchedule
from hms.schemas.task_event import ScheduleRan, TaskAssigned
from hms.schemas.task_protocol import TaskCompletion
from hms.schemas.task_record import RecordTask, TaskOpened

RUNTIME = "runtime_supervisor/main"
MINUTE_MS = 60_000


@pytest.fixture
def meta(desk: Callable[[Any], Any]) -> Any:
    meta = desk(meta_supervisor)
    registration = SupervisorRegistration(
        supervisor_id="runtime_supervisor",
        supervisor_type="runtime",
        capabilities=("Cleanup",),
        heartbeat_interval_ms=86_400_000,
    )
    meta.tell(registration, RUNTIME)
    return meta


def submit(meta: Any, **fields: Any) -> Any:
    decision = meta.tell(SubmitTask.model_validate({"id": "a", "type": "Cleanup", **fields}))
    open_record(meta, "a")
    return decision


def open_record(meta: Any, task_id: str) -> None:
    meta.tell(TaskOpened(task_id=task_id), f"task/{task_id}")


def run(meta: Any, task_id: str) -> None:
    open_record(meta, task_id)
    meta.tell(TaskCompletion(task_id=task_id, attempt=1), RUNTIME)


def assigned(meta: Any) -> list[str]:
    return [event.task_id for event in meta.events if isinstance(event, TaskAssigned)]


def runs(meta: Any) -> list[ScheduleRan]:
    return [event for event in meta.events if isinstance(event, ScheduleRan)]


def test_a_task_waits_for_its_time(meta: Any) -> None:
    at = EPOCH + timedelta(minutes=5, microseconds=1)
    reply = submit(meta, schedule=TaskSchedule(at=at)).reply
    assert reply.status == "pending"
    meta.advance(5 * MINUTE_MS)
    assert assigned(meta) == []
    meta.advance(1)
    assert assigned(meta) == ["a"]
    assert "deadline:a" in meta.timers


def test_a_time_that_is_over_is_now(meta: Any) -> None:
    submit(meta, schedule=TaskSchedule(at=EPOCH - timedelta(days=1)))
    assert assigned(meta) == ["a"]


def test_a_task_with_a_time_and_a_dependency_waits_for_both(meta: Any) -> None:
    meta.tell(SubmitTask(id="first", type="Cleanup"))
    submit(meta, schedule=TaskSchedule(at=EPOCH + timedelta(minutes=5)), dependencies=("first",))
    meta.advance(10 * MINUTE_MS - 1)
    assert assigned(meta) == [], "the dependency has timed out by its default of five minutes"
    assert not meta.state.tasks


def test_a_dependency_that_is_met_first_leaves_the_time_to_wait_for(meta: Any) -> None:
    meta.tell(SubmitTask(id="first", type="Cleanup"))
    submit(meta, schedule=TaskSchedule(at=EPOCH + timedelta(minutes=5)), dependencies=("first",))
    run(meta, "first")
    assert assigned(meta) == ["first"]
    meta.advance(5 * MINUTE_MS)
    assert assigned(meta) == ["first", "a"]


def test_a_schedule_runs_as_tasks_of_its_own(meta: Any) -> None:
    submit(meta, schedule=TaskSchedule(every_ms=MINUTE_MS))
    for number in range(1, 4):
        meta.advance(0)
        assert f"a@{number}" in meta.state.tasks
        run(meta, f"a@{number}")
        meta.advance(MINUTE_MS)
    assert assigned(meta) == ["a@1", "a@2", "a@3"]
    assert [event.next_at - EPOCH for event in runs(meta)] == [timedelta(minutes=n) for n in (1, 2, 3, 4)]
    assert meta.state.tasks["a"].runs == 4
    assert meta.sent_to("task/a", RecordTask)[-1].task.message.startswith("run a@4 was submitted; next at ")


def test_a_run_that_is_not_over_is_not_run_again(meta: Any) -> None:
    submit(meta, schedule=TaskSchedule(every_ms=MINUTE_MS), timeout_ms=600_000)
    meta.advance(0)
    open_record(meta, "a@1")
    meta.advance(2 * MINUTE_MS)
    assert [(event.number, event.skipped) for event in runs(meta)] == [(1, False), (1, True), (1, True)]
    run(meta, "a@1")
    meta.advance(MINUTE_MS)
    assert runs(meta)[-1].number == 2
    assert not runs(meta)[-1].skipped


def test_times_that_passed_while_nobody_was_there_are_counted_and_not_made_up_for(meta: Any) -> None:
    submit(meta, schedule=TaskSchedule(every_ms=MINUTE_MS))
    meta.advance(0)
    run(meta, "a@1")
    message = meta.timers.pop("due:a")[1]
    meta.now += timedelta(minutes=10, seconds=30)
    meta.tell(message, "meta_supervisor/main")
    assert (runs(meta)[-1].number, runs(meta)[-1].missed) == (2, 9)
    assert runs(meta)[-1].next_at == EPOCH + timedelta(minutes=11)


def test_a_cancelled_schedule_runs_no_more_and_its_last_run_goes_on(meta: Any) -> None:
    submit(meta, schedule=TaskSchedule(every_ms=MINUTE_MS), timeout_ms=86_400_000)
    meta.advance(0)
    open_record(meta, "a@1")
    assert meta.tell(CancelTask(task_id="a", reason="enough")).reply.status == "cancelled"
    meta.advance(60 * MINUTE_MS)
    assert len(runs(meta)) == 1
    assert list(meta.state.tasks) == ["a@1"]


def test_nothing_can_depend_on_a_schedule(meta: Any) -> None:
    submit(meta, schedule=TaskSchedule(every_ms=MINUTE_MS))
    refusal = meta.tell(SubmitTask(id="b", type="Cleanup", dependencies=("a",))).refusal
    assert refusal is not None
    assert refusal.code == "unknown_dependency"


def test_a_schedule_begins_once_its_id_is_known_to_be_new(meta: Any) -> None:
    meta.tell(SubmitTask(id="a", type="Cleanup", schedule=TaskSchedule(every_ms=MINUTE_MS)))
    meta.advance(MINUTE_MS)
    assert runs(meta) == []
    open_record(meta, "a")
    meta.tell(SupervisorHeartbeat(supervisor_id="runtime_supervisor"), RUNTIME)
    meta.advance(0)
    assert len(runs(meta)) == 1
