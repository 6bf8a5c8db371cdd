"""When a task may go to a supervisor: its dependencies are met and its time has come."""

from datetime import timedelta

from ...schemas.supervisor_timer import TaskDeadlineReached, TaskDue
from ...schemas.task_event import TaskReady
from .state import ActiveTask
from .turn import Turn

MILLISECOND = timedelta(milliseconds=1)


def make_ready(turn: Turn, task_id: str) -> None:
    """Make a task ready if it can be; its timeout runs from here."""
    task = turn.state.tasks[task_id]
    early = task.next_at is not None and task.next_at > turn.context.now
    if task.ready or task.repeats or task.waiting_for or early:
        return
    turn.record(TaskReady(task_id=task.id))
    turn.set_timer(f"deadline:{task.id}", TaskDeadlineReached(task_id=task.id), task.timeout_ms)


def set_alarm(turn: Turn, task: ActiveTask) -> None:
    """Wake up when the task's time comes; rounded up, so that it has come then."""
    if task.next_at is not None:
        after_ms = -((turn.context.now - task.next_at) // MILLISECOND)
        turn.set_timer(f"due:{task.id}", TaskDue(task_id=task.id), after_ms)
