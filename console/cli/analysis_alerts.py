"""`hms analysis alerts`: what was found unusual while it happened; acknowledge it, or silence it for a time."""

from typing import Annotated, Final

from cyclopts import App, Parameter

from ...actors.well_known import ANALYSIS_SUPERVISOR
from ...schemas.analysis import AcknowledgeAlert, AlertStatus, SilenceAlerts
from .analysis_asking import known
from .analysis_watch import duration_ms
from .exit_codes import Exit, Stop
from .message_of import message_of
from .opened import asking
from .options import DEFAULTS, Options
from .plain_value import plain, seconds
from .show import Columns, show_list, show_one

app = App(name="alerts", help="Alerts: what was found unusual; acknowledge, silence.")

SHORT: Final = 8
COLUMNS: Final[Columns] = {
    "ID": lambda item: item["id"][:SHORT],
    "COMPONENT": "component",
    "METRIC": "metric",
    "STATUS": "status",
    "SINCE": lambda item: seconds(item["at"]),
    "VALUE": lambda item: f"{item['value']:.6g}",
    "SCORE": lambda item: f"{item['score']:.2f}",
    "TIMES": "times",
    "SILENCED": "silenced",
    "ACKNOWLEDGED": "acknowledged_by",
}
SILENCE_COLUMNS: Final[Columns] = {
    "COMPONENT": lambda item: item["component"] or "any",
    "METRIC": lambda item: item["metric"] or "any",
    "UNTIL": lambda item: seconds(item["until"]),
    "BY": "by",
    "REASON": "reason",
}
NoteOption = Annotated[str, Parameter(help="What is known of it")]
ComponentOption = Annotated[str, Parameter(help="Only this component's", show_default="any")]
MetricOption = Annotated[str, Parameter(help="Only this metric's", show_default="any")]


@app.command(name="list")
async def list_alerts(
    *,
    open_: Annotated[bool, Parameter(name="--open", help="Only those that last")] = False,
    options: Options = DEFAULTS,
) -> None:
    """List the alerts that are remembered, newest first.

    JSON: an array of `id, component, metric, status, at, value, score, times, ended_at, silenced, acknowledged_by, note`;
    `status` is open or ended, `at` when the anomaly began, `times` how often it has renewed itself.
    """
    alerts = (await known(options.url)).alerts.values()
    wanted = [one for one in reversed(alerts) if one.status == "open" or not open_]
    show_list([plain(one) for one in wanted], options.form, COLUMNS)


@app.command
async def ack(alert: str, /, *, note: NoteOption = "", options: Options = DEFAULTS) -> None:
    """Acknowledge an alert, by the beginning of its id: it is told no more while it lasts. Shows it as `list` does."""
    message = message_of(AcknowledgeAlert, alert_id=await _full_id(alert, options), note=note)
    async with asking(options.url) as client:
        answer: AlertStatus = await client.ask(ANALYSIS_SUPERVISOR, message)
    show_one(plain(answer), options.form)


async def _full_id(beginning: str, options: Options) -> str:
    found = [name for name in (await known(options.url)).alerts if name.startswith(beginning)]
    if len(found) != 1:
        many = f"{len(found)} alerts begin so" if found else "there is none"
        raise Stop(Exit.NOT_FOUND, f"no single alert {beginning!r}: {many}; see `hms analysis alerts list`")
    return found[0]


@app.command
async def silence(
    *,
    for_: Annotated[str, Parameter(name="--for", help="For so long, such as 30m, 2h or 1d")],
    component: ComponentOption = "",
    metric: MetricOption = "",
    reason: Annotated[str, Parameter(help="Why")] = "",
    options: Options = DEFAULTS,
) -> None:
    """Tell nobody of alerts for a time; what still lasts when it is over is told then. They are listed meanwhile.

    JSON: `id, component, metric, until, by, reason`; an empty name is any.
    """
    message = message_of(SilenceAlerts, component=component, metric=metric, for_ms=duration_ms(for_), reason=reason)
    async with asking(options.url) as client:
        show_one(plain(await client.ask(ANALYSIS_SUPERVISOR, message)), options.form)


@app.command
async def silences(*, options: Options = DEFAULTS) -> None:
    """List the silences that are not over. JSON: an array of `id, component, metric, until, by, reason`."""
    found = (await known(options.url)).silences.values()
    show_list([plain(one) for one in found], options.form, SILENCE_COLUMNS)
