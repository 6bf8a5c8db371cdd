"""Figures of series in a window of time, and the names by which metrics are asked for."""

from datetime import datetime, timedelta
from typing import Final

from ....replay.sql.session import Session
from ....schemas.analysis import ALL, MetricFigures, MetricsResponse
from ....schemas.analysis_event import MetricsAsked
from .asking import stamp, table
from .rows import SUPERVISORS

SERIES_MAX: Final = 500
"""So many series an answer holds."""
MEANINGS: Final = {
    "cpu": r"^cpu",
    "memory": r"^(rss|mem)",
    "response_time": r"respon|latenc|durat|elapsed|p\d\d",
    "error_rate": r"err|fail|fault|[45]xx",
}
"""What a metric is asked for by -> what it may be called."""
_FIGURES: Final = """
SELECT component, metric, count(*) AS samples, count(value) FILTER (isfinite(value)) AS measured, max(sampled_at) AS last_at,
    arg_max(value, sampled_at) AS last, min(value) AS minimum, median(value) AS median, quantile_cont(value, 0.95) AS p95,
    max(value) AS maximum
FROM metric_samples
WHERE sampled_at >= $since::TIMESTAMPTZ AND sampled_at < $until::TIMESTAMPTZ AND {wanted}
GROUP BY component, metric ORDER BY component, metric
"""


def wanted(components: tuple[str, ...], metrics: tuple[str, ...]) -> str:
    """Return the condition on `component` and `metric` that names stand for; `all` components are all but supervisors."""
    if ALL in components:
        own = ", ".join(_text(name) for name in SUPERVISORS)
        return f"component NOT IN ({own}) AND ({_any_of('metric', metrics, MEANINGS)})"
    return f"({_any_of('component', components, {})}) AND ({_any_of('metric', metrics, MEANINGS)})"


def _any_of(column: str, names: tuple[str, ...], meanings: dict[str, str]) -> str:
    if ALL in names:
        return "true"
    exact = f"{column} IN ({', '.join(_text(name) for name in names)})"
    alike = [
        f"regexp_matches(lower({column}), {_text(meanings[name.lower()])})"
        for name in names
        if name.lower() in meanings
    ]
    return " OR ".join([exact, *alike])


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


async def figures(
    session: Session, components: tuple[str, ...], metrics: tuple[str, ...], since: datetime, until: datetime
) -> list[MetricFigures]:
    """Return the figures of each series in [since, until), by component and metric."""
    query = _FIGURES.format(wanted=wanted(components, metrics))
    rows = (await table(session, query, {"since": stamp(since), "until": stamp(until)})).to_pylist()
    return [MetricFigures(**row) for row in rows]


async def respond(session: Session, asked: MetricsAsked) -> MetricsResponse:
    """Answer a `metrics_query`."""
    since = asked.as_of - timedelta(minutes=asked.time_range_minutes)
    found = await figures(session, asked.components, asked.metrics, since, asked.as_of)
    left_out = max(len(found) - SERIES_MAX, 0)
    return MetricsResponse(
        query_id=asked.query_id, from_at=since, as_of=asked.as_of, series=tuple(found[:SERIES_MAX]), left_out=left_out
    )
