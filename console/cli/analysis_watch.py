"""`hms analysis watch|look`: let the analysis supervisor look at what was measured, again and again, or once."""

from typing import Annotated, Final

from cyclopts import Parameter

from ...actors.well_known import ANALYSIS_SUPERVISOR
from ...schemas.administrative import SupervisorConfiguration
from ...schemas.analysis import LookNow
from ...schemas.analysis_event import LookEnded, LookFailed
from .analysis_asking import cursor, first
from .exit_codes import Exit, Stop
from .instants import instant_us
from .opened import asking
from .options import DEFAULTS, Options
from .plain_value import plain
from .show import say, show_one

MS_MIN, MS_MAX = 1_000, 86_400_000
SHOWN: Final = ("look", "as_of", "samples", "series", "behind", "left_out", "cpu_ms")


def duration_ms(text: str) -> int:
    """Return the milliseconds of a duration such as 90s, 5m, 2h, 1d. Raises `Stop` (usage)."""
    try:
        return -instant_us(f"-{text}", 0) // 1_000
    except Stop:
        raise Stop(Exit.USAGE, f"expected a duration such as 90s, 5m, 2h or 1d, got {text!r}") from None


def _within_a_day(text: str) -> str:
    if not MS_MIN <= duration_ms(text) <= MS_MAX:
        raise Stop(Exit.USAGE, f"expected a duration from 1s to 1d, got {text!r}")
    return str(duration_ms(text))


async def watch(
    *,
    every: Annotated[str | None, Parameter(help="From one look to the next, such as 60s or 5m")] = None,
    off: Annotated[bool, Parameter(help="Look no more")] = False,
    bucket: Annotated[str | None, Parameter(help="Trends are of medians of so long a time [default: 5m]")] = None,
    options: Options = DEFAULTS,
) -> None:
    """Look at every series again and again, beginning now; what is found goes to `topic/analysis` and `hms analysis alerts`.

    It goes on until `--off`, across restarts, as long as `hms up` runs. A fleet is not looked at until it is told to.
    JSON: `settings{}`.
    """
    if (every is None) == (not off):
        raise Stop(Exit.USAGE, "expected --every DURATION (such as 60s), or --off")
    settings = {"look_every_ms": "0" if every is None else _within_a_day(every)}
    if bucket is not None:
        settings["bucket_ms"] = _within_a_day(bucket)
    async with asking(options.url) as client:
        await client.tell(ANALYSIS_SUPERVISOR, SupervisorConfiguration(settings=settings))
    show_one({"settings": settings}, options.form)


async def look(
    *,
    timeout: Annotated[float, Parameter(help="Seconds to wait for its end")] = 120.0,  # noqa: ASYNC109 - the option's name
    options: Options = DEFAULTS,
) -> int:
    """Look once, now, and wait until that is done; exit 1 if it failed.

    JSON: `look, as_of, samples, series, behind, left_out, cpu_ms`: `samples` are new, and `behind` says that there are more,
    which the next look takes.
    """
    async with asking(options.url) as client:
        after = await cursor(client)
        await client.tell(ANALYSIS_SUPERVISOR, LookNow())
        ended = await first(client, after, (LookEnded, LookFailed), lambda _: True, timeout)
    if isinstance(ended, LookFailed):
        say(f"hms: the look failed: {ended.reason}")
        return Exit.FAILED
    item = plain(ended)
    show_one({name: item[name] for name in SHOWN}, options.form)
    return Exit.OK
