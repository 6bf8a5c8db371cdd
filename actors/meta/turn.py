"""One decision in the making: events are folded as they are recorded, so that what follows sees what was decided."""

from typing import Any

from ...core.address import Address
from ...core.behaviour import Context
from ...core.decision import Decision, Priority, Send, Timer, accept, cancel, send, timer
from ...schemas.record import Message, Record
from ...schemas.task import FinishedTask, TaskStatus
from ...schemas.task_record import OpenTask, RecordTask
from ..well_known import task_record
from .answers import status_of
from .fold import MetaEvent, TaskEnd, evolve, outcome_of
from .state import ActiveTask, MetaState, Supervisor


class Turn:
    """Collects events, messages and timers; `state` is always the fold of what was collected."""

    def __init__(self, state: MetaState, context: Context) -> None:
        self.state = state
        self.context = context
        self._before = state
        self._events: list[MetaEvent] = []
        self._sends: list[Send] = []
        self._timers: dict[str, Timer] = {}
        self._opened: dict[str, TaskStatus] = {}

    def record(self, event: MetaEvent) -> None:
        """Decide that this happened."""
        self._events.append(event)
        self.state = evolve(self.state, event)

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
        self._sends.append(send(Address(supervisor.address), message, priority=priority))

    def set_timer(self, name: str, message: Message[Any] | None, after_ms: int = 0) -> None:
        """Set a durable timer, or cancel it: the last word of a decision counts."""
        self._timers[name] = cancel(name) if message is None else timer(name, max(0, after_ms), message)

    def decision(self, reply: Record | None = None) -> Decision[MetaEvent]:
        """Return the whole of it; the records of tasks that look different now are brought up to date."""
        for task_id, task in self.state.tasks.items():
            if self._before.tasks.get(task_id) is not task and self._last_shown(task_id) != status_of(task):
                self._record_task(task, status_of(task), task.revision)
        return accept(*self._events, send=tuple(self._sends), timers=tuple(self._timers.values()), reply=reply)

    def _last_shown(self, task_id: str) -> TaskStatus:
        before = self._before.tasks.get(task_id)
        return self._opened[task_id] if before is None else status_of(before)

    def _record_task(self, task: ActiveTask, shown: TaskStatus, revision: int) -> None:
        self._send_record(task.id, RecordTask(task=shown, revision=revision, fingerprint=task.fingerprint))

    def _send_record(self, task_id: str, message: OpenTask | RecordTask) -> None:
        # One lane for all, so that a record's changes arrive in their order.
        self._sends.append(send(task_record(task_id), message, priority="normal"))
