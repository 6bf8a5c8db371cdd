"""A task's own record, the actor `task/ID`: how the meta supervisor keeps it, and what happened to it."""

from .record import Event, Message
from .task import TaskStatus


class OpenTask(Message):
    """To `task/ID`: begin the record. Answered by `TaskOpened`, or `TaskExists` when one is there already."""

    task: TaskStatus
    fingerprint: str


class TaskOpened(Message):
    """From `task/ID`: the record has begun."""

    task_id: str


class TaskExists(Message):
    """From `task/ID`: a task of that id is there already."""

    task: TaskStatus
    fingerprint: str


class RecordTask(Message):
    """To `task/ID`: the task as it is now, whole; a smaller `revision` than the recorded one is old news."""

    task: TaskStatus
    revision: int
    fingerprint: str


class TaskRecordOpened(Event):
    """A task's record began."""

    task: TaskStatus
    fingerprint: str


class TaskRecordChanged(Event):
    """A task's record is now this."""

    task: TaskStatus
    revision: int
