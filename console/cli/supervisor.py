"""`hms supervisor`: the registry, as the meta supervisor keeps it in the log."""

from typing import Any, Final

from cyclopts import App

from ...actors.meta.answers import supervisor_list
from ...actors.meta.behaviour import meta_supervisor
from ...actors.meta.state import MetaState
from ...actors.well_known import META_SUPERVISOR
from ...core.app import App as HmsApp
from ...core.runtime.view import View
from .exit_codes import Exit, Stop
from .freshness import freshness_line
from .opened import reading
from .options import DEFAULTS, Options
from .plain_value import plain
from .show import Columns, say, show_list, show_one, text

app = App(name="supervisor", help="Supervisors: who is registered, and how they are.")

COLUMNS: Final[Columns] = {
    "ID": "supervisor_id",
    "TYPE": "supervisor_type",
    "STATUS": "status",
    "TASKS": lambda item: f"{len(item['active_tasks'])}/{item['max_tasks']}",
    "TAKES": "capabilities",
    "HEARD": lambda item: text(item["heard_at"] and item["heard_at"][:19] + "Z"),
    "REASON": "reason",
}


@app.command(name="list")
async def list_supervisors(*, options: Options = DEFAULTS) -> None:
    """List the supervisors, the meta supervisor first."""
    show_list(await _registry(options.url), options.form, COLUMNS)


@app.command
async def describe(supervisor: str, /, *, options: Options = DEFAULTS) -> None:
    """Show one supervisor: its counters, its tasks."""
    found = [item for item in await _registry(options.url) if item["supervisor_id"] == supervisor]
    if not found:
        raise Stop(Exit.NOT_FOUND, f"no supervisor {supervisor!r}; `hms supervisor list` shows the ones there are")
    show_one(found[0], options.form)


async def meta_state(url: str) -> MetaState:
    """Return what the meta supervisor knows, folded from the log; says how fresh it is."""
    async with reading(url) as log:
        seen = await View(log, [HmsApp("hms", meta_supervisor)]).actor(META_SUPERVISOR.id)
        say(await freshness_line(log))
    return MetaState() if seen is None else seen.state


async def _registry(url: str) -> list[dict[str, Any]]:
    return [plain(one) for one in supervisor_list(await meta_state(url)).supervisors]
