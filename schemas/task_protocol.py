"""How the meta supervisor and a supervisor deal with a task: protocol section 3.2, name by name.

| protocol | record | direction |
| --- | --- | --- |
| `task_assignment` | `TaskAssignment` | meta supervisor to supervisor |
| `task_acceptance` | `TaskAcceptance` | supervisor to meta supervisor |
| `task_rejection` | `TaskRejection` | supervisor to meta supervisor |
| `task_progress` | `TaskProgress` | supervisor to meta supervisor |
| `task_completion` | `TaskCompletion` | supervisor to meta supervisor |
| `task_failure` | `TaskFailure` | supervisor to meta supervisor |
| `task_cancellation` | `TaskCancellation` | meta supervisor to supervisor |

A report is believed if its sender (the envelope's source) is a supervisor that the task was assigned to; `attempt`
tells one assignment from the next.
"""

from typing import Annotated

from pydantic import Field

from .record import Message

Words = Annotated[str, Field(max_length=2_000)]
"""For people; what is longer belongs into a log."""


class TaskAssignment(Message):
    """`task_assignment`: do this. The same task with a greater attempt is the same work: go on, or report again."""

    task_id: str
    task_type: str
    priority: str
    parameters_json: str = "{}"
    dependencies: tuple[str, ...] = ()
    timeout_ms: int
    attempt: int = 1


class TaskAcceptance(Message):
    """`task_acceptance`: I have it."""

    task_id: str
    attempt: int


class TaskRejection(Message):
    """`task_rejection`: not me, because of `error_code` and `reason`."""

    task_id: str
    attempt: int
    reason: Words
    error_code: str = "validation_error"


class TaskProgress(Message):
    """`task_progress`: what is going on; `progress` from 0 to 1."""

    task_id: str
    attempt: int
    progress: Annotated[float, Field(ge=0, le=1)] = 0.0
    message: Words = ""


class TaskCompletion(Message):
    """`task_completion`: done, with this result (JSON text)."""

    task_id: str
    attempt: int
    result_json: Annotated[str, Field(max_length=65_536)] = "{}"


class TaskFailure(Message):
    """`task_failure`: not done, for this reason."""

    task_id: str
    attempt: int
    error: Words
    error_code: str = "internal_error"


class TaskCancellation(Message):
    """`task_cancellation`: stop it, up to this attempt; no answer is wanted. It may come before its assignment."""

    task_id: str
    attempt: int
    reason: Words = ""
