"""`hms task submit|cancel|watch`: what is said to the meta supervisor."""

import asyncio
import time
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from cyclopts import Parameter

from ...actors.meta.behaviour import meta_supervisor
from ...actors.task.behaviour import task as behaviour
from ...actors.task.document import parse_task
from ...actors.well_known import META_SUPERVISOR, task_record
from ...core.app import App
from ...core.client import Client
from ...core.errors import AskTimedOut, Refused, ValidationFailed
from ...schemas import new_id
from ...schemas.task import ENDED, CancelTask, GetTask, SubmitTask, TaskStatus
from .exit_codes import Exit, Stop
from .freshness import freshness_line
from .opened import asking
from .options import DEFAULTS, Options
from .show import say, show_one
from .task_item import task_item

APP: Final = App("hms", meta_supervisor, behaviour)
"""It names the types of what is asked."""
POLL_S: Final = 0.1
ASK_MS: Final = 10_000

Seconds = Annotated[float, Parameter(help="Seconds to wait for the end")]


async def submit(
    file: Path,
    /,
    *,
    wait: Annotated[bool, Parameter(help="Wait for the end; exit 8 unless it is `completed`")] = False,
    timeout: Seconds = 300.0,  # noqa: ASYNC109 - the option's name
    options: Options = DEFAULTS,
) -> int:
    """Submit the task in a YAML file, keys as in the core components document; the same file again is the same task."""
    message = task_in(file)
    async with asking(options.url) as client:
        task: TaskStatus = await client.ask(META_SUPERVISOR, message, timeout_ms=ASK_MS)
        if wait:
            task = await _ended(client, task, timeout, options)
        if task.status in ENDED:
            task = await _get(client, task.id)  # the queue remembers little of what has ended
        show_one(task_item(task), options.form)
        say(await freshness_line(client.log))
    return _code(task) if wait else Exit.OK


async def cancel(task: str, /, *, reason: str = "", options: Options = DEFAULTS) -> None:
    """Cancel a task; one that has ended stays as it ended. Shows the task as `get` does."""
    async with asking(options.url) as client:
        status = await _recorded(client, task)
        if status is not None and status.status in ENDED:
            say(f"task {task}: it had ended already")
        else:
            status = await _cancelled(client, task, reason)
        show_one(task_item(status), options.form)
        say(await freshness_line(client.log))


async def _cancelled(client: Client, task: str, reason: str) -> TaskStatus:
    """Have a task cancelled, and return its record once that says so. Raises `Stop` (not found)."""
    answer: TaskStatus = await client.ask(
        META_SUPERVISOR, CancelTask(task_id=task, reason=reason), priority="high", timeout_ms=ASK_MS
    )
    if answer.status == "unknown":
        raise Stop(
            Exit.NOT_FOUND, f"no task {task!r} is known; should it come within a minute, it is cancelled at once"
        )
    deadline = time.monotonic() + ASK_MS / 1_000
    while (status := await _get(client, task)).status not in ENDED:
        # The queue has answered; what it told the record may still be on the way.
        if time.monotonic() > deadline:
            raise AskTimedOut(f"task {task} is cancelled, but its record does not say so yet: hms task get {task}")
        await asyncio.sleep(POLL_S)
    if status.status != "cancelled":
        say(f"task {task}: it had ended already")
    return status


async def _recorded(client: Client, task_id: str) -> TaskStatus | None:
    """Return a task from its record, None if it has none (yet)."""
    try:
        status: TaskStatus = await client.ask(task_record(task_id), GetTask(), priority="high", timeout_ms=ASK_MS)
    except Refused:
        return None
    return status


async def watch(
    task: str,
    /,
    *,
    timeout: Seconds = 3_600.0,  # noqa: ASYNC109
    options: Options = DEFAULTS,
) -> int:
    """Follow a task to its end, a line for every change; exit 8 unless it is `completed`."""
    async with asking(options.url) as client:
        status = await _get(client, task)
        say(await freshness_line(client.log))
        say(_line(status))
        status = await _ended(client, status, timeout, options)
        show_one(task_item(status), options.form)
    return _code(status)


def task_in(file: Path) -> SubmitTask:
    """Return the task in a file; raises `Stop` (usage) that names what is wrong with it."""
    try:
        return parse_task(_document(file), default_id=new_id(time.time_ns() // 1_000))
    except OSError as error:
        raise Stop(Exit.USAGE, f"{file}: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError, ValidationFailed) as error:
        raise Stop(Exit.USAGE, f"{file}: {error}") from error


def _document(file: Path) -> dict[str, Any]:
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise ValidationFailed(f"expected the keys and values of a task, got {type(document).__name__}")
    return document


async def _ended(client: Client, task: TaskStatus, timeout: float, options: Options) -> TaskStatus:  # noqa: ASYNC109
    """Return the task when it has ended, saying every change."""
    deadline = time.monotonic() + timeout
    while task.status not in ENDED:
        if time.monotonic() > deadline:
            show_one(task_item(task), options.form)
            raise AskTimedOut(
                f"task {task.id} is {task.status} after {timeout:g} s and goes on: hms task watch {task.id}"
            )
        await asyncio.sleep(POLL_S)
        newer = await _get(client, task.id)
        if _line(newer) != _line(task):
            say(_line(newer))
        task = newer
    return task


async def _get(client: Client, task_id: str) -> TaskStatus:
    """Ask the task's record; right after the submission it may not be there yet, so once more before it is missing."""
    for _ in range(20):
        if (status := await _recorded(client, task_id)) is not None:
            return status
        await asyncio.sleep(POLL_S)
    raise Stop(Exit.NOT_FOUND, f"no task {task_id!r} was ever submitted; `hms task list` shows the ones there are")


def _line(task: TaskStatus) -> str:
    parts = [task.status, task.assigned_to and f"by {task.assigned_to}", task.progress and f"{task.progress:.0%}"]
    return f"{task.id}: {' '.join(str(part) for part in parts if part)} {task.message}".rstrip()


def _code(task: TaskStatus) -> int:
    return Exit.OK if task.status == "completed" else Exit.TASK_FAILED
