"""`hms metric import`: the samples of a CSV file, as telemetry in the log."""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Final

from cyclopts import Parameter

from ...actors.analysis.files import SeriesFile, read_series
from ...actors.analysis.files.stamps import EPOCH, MICRO
from ...actors.telemetry import telemetry
from ...core.app import App
from ...core.client import Client
from ...schemas.telemetry import ImportSamples, Sample
from .analysis_score import say_bad
from .exit_codes import Exit, Stop
from .message_of import message_of
from .opened import asking
from .options import DEFAULTS, Options
from .show import say, show_one

APP: Final = App("hms", telemetry)
"""It names the types of what is asked."""
BATCH: Final = 500
FileArgument = Annotated[
    str,
    Parameter(
        name="FILE",
        allow_leading_hyphen=True,
        help="CSV with the columns `timestamp` and `value`; - for standard input",
    ),
]
ComponentOption = Annotated[str, Parameter(help="Whose series it is; it need not be in a fleet")]
MetricOption = Annotated[str, Parameter(help="The metric's name")]


async def import_file(
    file: FileArgument, /, *, component: ComponentOption, metric: MetricOption = "value", options: Options = DEFAULTS
) -> int:
    """Append the samples of a file to the series (component, metric), in order of time; a node has to run.

    What is at or before the instant with which the series ends is left out, so a file that is imported again, or has grown,
    adds only what is new. An empty, NaN or infinite value is taken as not measured. Seen afterwards in `metric_samples`
    (`hms sql`) and by the analysis supervisor. JSON: `component, metric, taken, left_out`.
    """
    series = read_series(file)
    async with asking(options.url) as client:
        taken, left_out = await _send(client, component, metric, _samples(series))
    show_one({"component": component, "metric": metric, "taken": taken, "left_out": left_out}, options.form)
    say(f"{taken} samples are new, {left_out} were there already or came too late")
    return say_bad(series.bad)


def _samples(series: SeriesFile) -> list[Sample]:
    """Return what was measured by time, the first of one instant; what the log cannot date raises `Stop`."""
    found: dict[int, Sample] = {}
    for row in series.rows:
        try:
            at = EPOCH + row.at_us * MICRO
        except OverflowError:
            raise Stop(Exit.USAGE, f"{series.path}: expected years 1 to 9999, got {row.timestamp!r}") from None
        found.setdefault(row.at_us, Sample(at=at, value=row.value if math.isfinite(row.value) else None))
    return [found[at_us] for at_us in sorted(found)]


async def _send(client: Client, component: str, metric: str, samples: Sequence[Sample]) -> tuple[int, int]:
    taken = left_out = 0
    to = telemetry(component)
    for batch in _batches(samples):
        answer = await client.ask(to, message_of(ImportSamples, metric=metric, samples=batch))
        taken, left_out = taken + answer.taken, left_out + answer.left_out
    return taken, left_out


def _batches(samples: Sequence[Sample]) -> Iterator[tuple[Sample, ...]]:
    yield from (tuple(samples[start : start + BATCH]) for start in range(0, len(samples), BATCH))
