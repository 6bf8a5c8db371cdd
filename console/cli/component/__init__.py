"""`hms component`: what runs, and what shall run."""

from typing import Final

from cyclopts import App

from ..options import DEFAULTS, Options
from ..show import Columns, Item, show_list, show_one, text
from .status import item_of, look

app = App(name="component", help="Components: what runs, and what shall run.")

WISHES: Final = "hms.console.cli.component.wishes"
app.command(f"{WISHES}:start", name="start", help="Wish it up")
app.command(f"{WISHES}:stop", name="stop", help="Wish it down: it stays down until somebody starts it")
app.command(f"{WISHES}:restart", name="restart", help="Stop it and start it again")
app.command(f"{WISHES}:pause", name="pause", help="Hold healing: what dies stays dead until resume")
app.command(f"{WISHES}:resume", name="resume", help="Heal again")
app.command(f"{WISHES}:reset", name="reset", help="Clear `given up` of its whole group")
app.command("hms.console.cli.component.logs:logs", name="logs", help="Show what it wrote to stdout and stderr")

DETAILS: Final = ("spec", "exits", "spec_hash")
"""Fields of `describe` that `list` leaves out."""
COLUMNS: Final[Columns] = {
    "ID": "id",
    "GROUP": "group",
    "DESIRED": "desired",
    "HEALTH": "health",
    "PHASE": lambda item: f"{item['phase']} (paused)" if item["paused"] else item["phase"],
    "PID": "pid",
    "INCARNATION": "incarnation",
    "RESTARTS": "restart_count",
    "SINCE": lambda item: text(item["since"] and item["since"][:19] + "Z"),
    "MESSAGE": "message",
}
SEVERAL_HOSTS: Final[Columns] = {"ID": "id", "HOST": "host", **COLUMNS}


@app.command(name="list")
async def list_components(*, options: Options = DEFAULTS) -> None:
    """List the components of the fleet.

    JSON: an array of `id, group, desired, health, phase, pid, incarnation, restart_count, since, desired_by,
    desired_who, desired_why, paused, given_up, host, ready, message`. How fresh it is stands on stderr.
    """
    statuses = await look(options.url)
    items: list[Item] = [
        {name: value for name, value in item_of(status).items() if name not in DETAILS} for status in statuses
    ]
    hosts = {item["host"] for item in items}
    show_list(items, options.form, SEVERAL_HOSTS if len(hosts) > 1 else COLUMNS)


@app.command
async def describe(component: str, /, *, options: Options = DEFAULTS) -> None:
    """Show all of one component: its last exits with their last lines of output, and its specification."""
    (status,) = await look(options.url, component)
    show_one(item_of(status), options.form)
