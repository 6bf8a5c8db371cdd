"""`hms task`: submit a task from a file, follow it, cancel it."""

from typing import Final

from cyclopts import App

from ...actors.meta.answers import status_of, task_list
from ...actors.task.behaviour import task as behaviour
from ...actors.well_known import task_record
from ...core.app import App as HmsApp
from ...core.runtime.view import View
from ...schemas.task import TaskStatus
from .exit_codes import Exit, Stop
from .freshness import freshness_line
from .opened import reading
from .options import DEFAULTS, Options
from .plain_value import plain
from .show import Columns, say, show_list, show_one, text
from .supervisor import meta_state
from .task_item import task_item

app = App(name="task", help="Tasks: submit, follow, cancel.")

CHANGES: Final = "hms.console.cli.task_changes"
app.command(f"{CHANGES}:submit", name="submit", help="Submit the task in a file")
app.command(f"{CHANGES}:cancel", name="cancel", help="Cancel a task")
app.command(f"{CHANGES}:watch", name="watch", help="Follow a task to its end")

COLUMNS: Final[Columns] = {
    "ID": "id",
    "TYPE": "type",
    "STATUS": "status",
    "PRIORITY": "priority",
    "ASSIGNED TO": "assigned_to",
    "SUBMITTED": lambda item: text(item["submitted_at"][:19] + "Z"),
    "FINISHED": lambda item: text(item["finished_at"] and item["finished_at"][:19] + "Z"),
    "ERROR": "error",
}
SHORT: Final = ("id", "type", "status", "priority", "assigned_to", "error", "submitted_at", "finished_at")


@app.command(name="list")
async def list_tasks(*, options: Options = DEFAULTS) -> None:
    """List what waits or runs, by order of submission, then what ended last, newest first.

    JSON: an array of `id, type, status, priority, assigned_to, error, submitted_at, finished_at`.
    """
    tasks = task_list(await meta_state(options.url))
    active = [task_item(task) for task in tasks.active]
    ended = [plain(task) for task in tasks.finished]
    show_list([{name: item[name] for name in SHORT} for item in (*active, *ended)], options.form, COLUMNS)


@app.command
async def get(task: str, /, *, options: Options = DEFAULTS) -> None:
    """Show one task.

    JSON: `id, type, status, priority, assigned_to, result, error, submitted_at, finished_at`, and what was submitted.
    """
    show_one(task_item(await recorded_task(options.url, task)), options.form)


async def recorded_task(url: str, task_id: str) -> TaskStatus:
    """Return a task from its own record, or while that is being opened, from the queue. Raises `Stop` (not found)."""
    async with reading(url) as log:
        seen = await View(log, [HmsApp("hms", behaviour)]).actor(task_record(task_id).id)
        if seen is not None and seen.state.task is not None:
            say(await freshness_line(log))
            known: TaskStatus = seen.state.task
            return known
    queued = (await meta_state(url)).tasks.get(task_id)
    if queued is None:
        raise Stop(Exit.NOT_FOUND, f"no task {task_id!r} was ever submitted; `hms task list` shows the ones there are")
    return status_of(queued)
