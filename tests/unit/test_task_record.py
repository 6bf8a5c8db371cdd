"""The record of one task: it follows the meta supervisor's word, and never changes after the end."""

from datetime import UTC, datetime
from typing import Any

from hms.actors.task import task
from hms.actors.well_known import META_SUPERVISOR
from hms.core.decision import send
from hms.core.testing.given import given
from hms.schemas.task import GetTask, TaskStatus
from hms.schemas.task_record import OpenTask, RecordTask, TaskExists, TaskOpened, TaskRecordChanged, TaskRecordOpened

AT = datetime(2026, 1, 1, tzinfo=UTC)


def status(**changes: Any) -> TaskStatus:
    return TaskStatus.model_validate(
        {"id": "t", "type": "Recovery", "status": "pending", "priority": "high", "submitted_at": AT, **changes}
    )


OPENED = TaskRecordOpened(task=status(), fingerprint="f")
DONE = TaskRecordChanged(task=status(status="completed", result_json="{}", finished_at=AT), revision=3)


def test_a_record_begins_and_says_so() -> None:
    outcome = given(task, key="t").when(OpenTask(task=status(), fingerprint="f"))
    outcome.then(OPENED).then_sent(send(META_SUPERVISOR, TaskOpened(task_id="t"), priority="normal"))


def test_a_record_that_began_is_confirmed_again() -> None:
    outcome = given(task, OPENED, key="t").when(OpenTask(task=status(), fingerprint="f"))
    outcome.then().then_sent(send(META_SUPERVISOR, TaskOpened(task_id="t"), priority="normal"))


def test_an_id_that_was_used_is_reported_with_what_it_was() -> None:
    outcome = given(task, OPENED, DONE, key="t").when(OpenTask(task=status(), fingerprint="f"))
    outcome.then().then_sent(send(META_SUPERVISOR, TaskExists(task=DONE.task, fingerprint="f"), priority="normal"))


def test_another_content_under_the_same_id_is_reported_too() -> None:
    outcome = given(task, OPENED, key="t").when(OpenTask(task=status(priority="low"), fingerprint="g"))
    outcome.then().then_sent(send(META_SUPERVISOR, TaskExists(task=OPENED.task, fingerprint="f"), priority="normal"))


def test_a_change_is_recorded_whole() -> None:
    running = status(status="running", assigned_to="runtime_supervisor")
    message = RecordTask(task=running, revision=2, fingerprint="f")
    given(task, OPENED, key="t").when(message).then(TaskRecordChanged(task=running, revision=2))


def test_old_news_changes_nothing() -> None:
    newer = TaskRecordChanged(task=status(status="running"), revision=5)
    message = RecordTask(task=status(status="assigned"), revision=4, fingerprint="f")
    given(task, OPENED, newer, key="t").when(message).then()


def test_an_ended_task_never_changes() -> None:
    message = RecordTask(task=status(status="failed"), revision=9, fingerprint="f")
    given(task, OPENED, DONE, key="t").when(message).then()


def test_news_of_another_content_change_nothing() -> None:
    message = RecordTask(task=status(status="failed"), revision=9, fingerprint="g")
    given(task, OPENED, key="t").when(message).then()


def test_news_of_a_task_that_never_began_change_nothing() -> None:
    given(task, key="t").when(RecordTask(task=status(), revision=1, fingerprint="f")).then()


def test_the_record_is_the_answer() -> None:
    given(task, OPENED, DONE, key="t").when(GetTask()).then().then_replied(DONE.task)


def test_a_task_that_was_never_submitted_is_not_found() -> None:
    outcome = given(task, key="nope").when(GetTask())
    outcome.then_refused("task_not_found")
    assert "'nope'" in str(outcome.decision.refusal)
