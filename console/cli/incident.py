"""`hms incident`: what went wrong, and the story of each case."""

import time
from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from ...replay.incidents.book import Incident, incidents_of
from ...replay.incidents.story import Line, story_of
from .archive_options import ArchiveOption
from .exit_codes import Exit, Stop
from .instants import instant_us
from .options import DEFAULTS, Options
from .plain_value import instant_of_us, plain, seconds
from .replay_options import history_of
from .show import Columns, show_list, show_one, text, write

app = App(name="incident", help="Incidents: what went wrong in the fleet, and the story of each case.")

COLUMNS: Final[Columns] = {
    "ID": "id",
    "COMPONENT": "component",
    "KIND": "kind",
    "OPENED": lambda item: seconds(item["opened_at"]),
    "LASTED": lambda item: "-" if item["duration_ms"] is None else f"{item['duration_ms'] / 1_000:.1f} s",
    "RESULT": lambda item: item["result"] or "open",
    "SYMPTOM": "symptom",
}
STORY_COLUMNS: Final[Columns] = {
    "AT": lambda item: item["at"][11:23],
    "CHAPTER": "chapter",
    "ACTOR": "actor",
    "EVENT": lambda item: item["type"].removeprefix("hms."),
    "WHAT": "what",
}


@app.command(name="list")
async def list_incidents(
    *,
    since: Annotated[
        str | None, Parameter(allow_leading_hyphen=True, help="Opened then or later: an instant, or -7d")
    ] = None,
    component: Annotated[str | None, Parameter(help="Only this component's")] = None,
    open_: Annotated[bool, Parameter(name="--open", help="Only those that are not over")] = False,
    archive: ArchiveOption = None,
    options: Options = DEFAULTS,
) -> None:
    """List the incidents, oldest first: illnesses that were seen, exits that a group met, recovery tasks.

    JSON: an array of `id, kind, component, group, incarnation, symptom, opened_at, closed_at, duration_ms, result,
    recoveries`; `kind` is illness, exit or task, and `result` null while it is open.
    """
    since_us = 0 if since is None else instant_us(since, time.time_ns() // 1_000)
    async with history_of(options.url, archive) as history:
        found = await incidents_of(history)
    wanted = [
        one
        for one in found
        if one.opened_us >= since_us
        and component in {None, one.component}
        and not (open_ and one.closed_us is not None)
    ]
    show_list([incident_item(one) for one in wanted], options.form, COLUMNS, cut_last=True)


@app.command
async def show(incident: str, /, *, archive: ArchiveOption = None, options: Options = DEFAULTS) -> None:
    """Tell the story of one incident: symptom, decision, effect, outcome, each line an event.

    `hms event trace ID` follows any of these events to its causes and consequences. JSON: as `list`, and `story[]` of
    `at, chapter, actor, type, id, what, data`.
    """
    async with history_of(options.url, archive) as history:
        found = [one for one in await incidents_of(history) if one.id == incident]
        if not found:
            raise Stop(Exit.NOT_FOUND, f"no incident {incident!r}; `hms incident list` shows the ones there are")
        story = await story_of(history, found[0])
    item = {**incident_item(found[0]), "story": [_line_item(line) for line in story]}
    show_one(item, options.form, leave_out=("story",))
    if options.form == "text":
        write("")
        show_list(item["story"], "text", STORY_COLUMNS, cut_last=True)


def incident_item(incident: Incident) -> dict[str, Any]:
    """Return an incident as JSON has it."""
    return {
        "id": incident.id,
        "kind": incident.kind,
        "component": incident.component,
        "group": incident.group,
        "incarnation": incident.incarnation,
        "symptom": incident.symptom,
        "opened_at": instant_of_us(incident.opened_us),
        "closed_at": None if incident.closed_us is None else instant_of_us(incident.closed_us),
        "duration_ms": incident.duration_ms,
        "result": incident.result,
        "recoveries": incident.recoveries,
    }


def _line_item(line: Line) -> dict[str, Any]:
    envelope = line.told.envelope
    return {
        "at": instant_of_us(envelope.at_us),
        "chapter": line.chapter,
        "actor": envelope.source,
        "type": envelope.type,
        "id": envelope.id,
        "what": text(line.what),
        "data": plain(line.told.data),
    }
