"""One decision of the meta supervisor in the making; the records of its tasks follow from it."""

from typing import Any

from ...core.address import Address
from ...core.behaviour import Context
from ...core.decision import Decision, Priority
from ...schemas.record import Message, Record
from ...schemas.task import FinishedTask, TaskStatus
from ...schemas.task_record import OpenTask, RecordTask
from .. import turn
from ..well_known import task_record
from .answers import status_of
from .fold import MetaEvent, TaskEnd, evolve, outcome_of
from .state import ActiveTask, MetaState, Supervisor


class Turn(turn.Turn[MetaState, MetaEvent]):
    """Knows, besides, what each task looked like before."""

    def __init__(self, state: MetaState, context: Context) -> None:
        super().__init__(state, context, evolve)
        self._before = state
        self._opened: dict[str, TaskStatus] = {}

    def open(self, task: ActiveTask) -> None:
        """Let the task's own record begin."""
        self._opened[task.id] = status_of(task)
        self._send_record(task.id, OpenTask(task=status_of(task), fingerprint=task.fingerprint))

    def end(self, event: TaskEnd, result_json: str | None = None) -> FinishedTask:
        """End a task: fold it out of the queue, stop its clocks, write the last line of its record, and return it."""
        task = self.state.tasks[event.task_id]
        self.record(event)
        if task.ready:
            self.set_timer(f"deadline:{task.id}", None)
        if task.schedule is not None:
            self.set_timer(f"due:{task.id}", None)
        line = self.state.finished[-1]
        status, error = outcome_of(event)
        progress = 1.0 if status == "completed" else task.progress
        last = {"status": status, "error": error, "finished_at": line.finished_at, "result_json": result_json}
        self._record_task(task, status_of(task).model_copy(update={**last, "progress": progress}), task.revision + 1)
        return line

    def tell(self, supervisor: Supervisor, message: Message[Any], priority: Priority) -> None:
        """Send a message to a supervisor."""
        self.post(Address(supervisor.address), message, priority)

    def decision(self, reply: Record | None = None) -> Decision[MetaEvent]:
        """Return the whole of it; the records of tasks that look different now are brought up to date."""
        for task_id, task in self.state.tasks.items():
            if self._before.tasks.get(task_id) is not task and self._last_shown(task_id) != status_of(task):
                self._record_task(task, status_of(task), task.revision)
        return super().decision(reply)

    def _last_shown(self, task_id: str) -> TaskStatus:
        before = self._before.tasks.get(task_id)
        return self._opened[task_id] if before is None else status_of(before)

    def _record_task(self, task: ActiveTask, shown: TaskStatus, revision: int) -> None:
        self._send_record(task.id, RecordTask(task=shown, revision=revision, fingerprint=task.fingerprint))

    def _send_record(self, task_id: str, message: OpenTask | RecordTask) -> None:
        # One lane for all, so that a record's changes arrive in their order.
        self.post(task_record(task_id), message, "normal")
