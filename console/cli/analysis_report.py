"""`hms analysis report`: how the fleet is, and was, in a window of time."""

import json
import time
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, TypeAlias

from cyclopts import Parameter

from ...actors.analysis.looking.asking import LIMITS
from ...actors.analysis.looking.report import Wanted, make_report, summary
from ...core.runtime.view import View
from ...replay.sql.session import Session
from .analysis_asking import APP
from .analysis_page import page
from .archive_options import ArchiveOption
from .exit_codes import Exit, Stop
from .instants import instant_us
from .log_address import log_url
from .options import LogOption
from .plain_value import EPOCH, plain, seconds
from .show import Columns, say, show_list, write
from .whole_history import Whole, whole_history

Form: TypeAlias = Annotated[
    Literal["text", "json", "html"],
    Parameter(name=("--output", "-o"), help="html is one page with plots that needs no network"),
]
Instant: TypeAlias = Annotated[str, Parameter(allow_leading_hyphen=True, help="An instant, or such as -24h")]
Names: TypeAlias = Annotated[tuple[str, ...], Parameter(help="Only this one; may be repeated", show_default="all")]

COLUMNS: Final[Columns] = {
    "COMPONENT": "component",
    "HEALTH": "health",
    "INCIDENTS": "incidents",
    "RESTARTS": "restarts",
    "ANOMALIES": "anomalies",
    "METRICS": lambda item: ", ".join(_series(one) for one in item["series"]) or "-",
}


async def report(
    *,
    since: Instant = "-1h",
    until: Instant = "now",
    component: Names = (),
    metric: Names = (),
    archive: ArchiveOption = None,
    form: Form = "text",
    log: LogOption = None,
) -> None:
    """Report the health of every component: figures, anomalies, trends, shifts of level, incidents, what could be better.

    Each sample is judged by those before it alone, as the analysis supervisor judges it live; no node has to run, and nothing
    is written. `health` is `ill` (an incident is open), `watch` (something was or is unusual) or `well`.

    JSON: `since, as_of, summary, components[]` (`component, health, incidents, restarts, anomalies, series[]`), `alerts[],
    incidents[], opportunities[]` (`name, component, summary, evidence{query, from_at, until, rows, rows_json}`),
    `missing_metrics[], series_left_out`.
    """
    about = _about(since, until, component, metric)
    async with whole_history(log_url(log), archive) as whole:
        found = await _report(whole, about)
    match form:
        case "json":
            write(json.dumps(found, ensure_ascii=False, indent=2))
        case "html":
            write(page(found))
        case "text":
            _show(found)


def _about(since: str, until: str, components: tuple[str, ...], metrics: tuple[str, ...]) -> Wanted:
    now_us = time.time_ns() // 1_000
    begin, end = (EPOCH + timedelta(microseconds=instant_us(one, now_us)) for one in (since, until))
    if begin >= end:
        raise Stop(Exit.USAGE, f"expected --since before --until, got {since!r} and {until!r}")
    return Wanted(begin, end, components or ("all",), metrics or ("all",))


async def _report(whole: Whole, about: Wanted) -> dict[str, Any]:
    async with Session(whole.history, whole.archive, LIMITS) as session:
        found = await make_report(session, about)
    seen = await View(whole.log, [APP], history=whole.history).actor("analysis_supervisor/main")
    alerts = [] if seen is None else [plain(one) for one in seen.state.open_alerts()]
    return {"summary": summary(found), **found, "alerts": alerts}


def _show(found: dict[str, Any]) -> None:
    show_list(found["components"], "text", COLUMNS, cut_last=True)
    for title, lines in (
        ("Open alerts", [f"{one['component']} {one['metric']} since {seconds(one['at'])}" for one in found["alerts"]]),
        ("Incidents", [_incident(one) for one in found["incidents"]]),
        ("Opportunities", [f"{one['name']}: {one['summary']}" for one in found["opportunities"]]),
    ):
        if lines:
            write(f"\n{title}")
            for line in lines:
                write(f"  {line}")
    if found["missing_metrics"]:
        say(f"nobody has sent: {', '.join(found['missing_metrics'])}")
    say(f"{found['summary']}; {seconds(found['since'])} to {seconds(found['as_of'])}")


def _incident(one: dict[str, Any]) -> str:
    return f"{one['component']} {seconds(one['opened_at'])} {one['result']}: {one['status']}, {one['message']}"


def _series(one: dict[str, Any]) -> str:
    """Return what is to be said of a series in few words."""
    said = [one["trend"]["direction"]] if one.get("trend") else []
    said += [f"{len(one['anomalies'])} anomalies"] if one.get("anomalies") else []
    said += ["unusual now"] if one.get("anomalous") else []
    value = "-" if one["last"] is None else f"{one['last']:.4g}"
    return f"{one['metric']} {value}" + (f" ({', '.join(said)})" if said else "")
