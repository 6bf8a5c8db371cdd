"""What could be better, each by a query that says so; the same query in `hms sql` shows the same rows."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from ....replay.sql.session import Session
from ....schemas.analysis import Evidence
from ....schemas.analysis_look import Opportunity
from .asking import stamp, table

WINDOW: Final = timedelta(days=1)
FOUND_MAX: Final = 50
"""So many of each kind are told at a time."""


class Kind(NamedTuple):
    """A kind of opportunity: its name, its query with a row per component, and a sentence made of such a row."""

    name: str
    query: str
    summary: str


KINDS: Final = (
    Kind(
        "restarts-often",
        "SELECT component, count(*) AS restarts, min(restarted_at) AS first, max(restarted_at) AS last, "
        "arg_max(reason, restarted_at) AS last_reason FROM restarts "
        "WHERE restarted_at >= {since} AND restarted_at < {until} "
        "GROUP BY component HAVING count(*) >= 3 ORDER BY restarts DESC, component",
        "restarted {restarts} times within a day, last for: {last_reason}; find what ends it",
    ),
    Kind(
        "recovers-slowly",
        "SELECT component_id AS component, count(*) AS recoveries, median(duration_ms)::BIGINT AS median_ms, "
        "max(duration_ms)::BIGINT AS longest_ms FROM incidents "
        "WHERE result IN ('healed', 'healthy') AND opened_at >= {since} AND opened_at < {until} "
        "GROUP BY component_id HAVING count(*) >= 2 AND median(duration_ms) > 30000 ORDER BY median_ms DESC, component",
        "takes {median_ms} ms to recover (median of {recoveries}); make its start or its probes faster",
    ),
    Kind(
        "not-recovered",
        "SELECT component_id AS component, count(*) AS incidents, arg_max(result, opened_at) AS last_result, "
        "arg_max(message, opened_at) AS last_symptom FROM incidents "
        "WHERE result NOT IN ('healed', 'healthy', 'open', 'superseded') AND opened_at >= {since} AND opened_at < {until} "
        "GROUP BY component_id ORDER BY incidents DESC, component",
        "{incidents} incidents were not healed, the last one {last_result}: {last_symptom}",
    ),
    Kind(
        "memory-grows",
        "WITH ranked AS (SELECT component, incarnation, value, "
        "ntile(4) OVER (PARTITION BY component, incarnation ORDER BY sampled_at) AS quarter FROM metric_samples "
        "WHERE metric = 'rss_mb' AND incarnation IS NOT NULL AND sampled_at >= {since} AND sampled_at < {until}) "
        "SELECT component, incarnation, count(*) AS samples, "
        "median(value) FILTER (quarter = 1) AS first_mb, median(value) FILTER (quarter = 2) AS second_mb, "
        "median(value) FILTER (quarter = 3) AS third_mb, median(value) FILTER (quarter = 4) AS last_mb FROM ranked "
        "GROUP BY component, incarnation HAVING samples >= 100 AND first_mb < second_mb AND second_mb < third_mb "
        "AND third_mb < last_mb AND last_mb >= 1.3 * first_mb ORDER BY last_mb / first_mb DESC, component",
        "memory went from {first_mb:.4g} to {last_mb:.4g} MB in one run (medians of quarters); look for a leak",
    ),
    Kind(
        "alerts-often",
        "SELECT component, count(*) AS alerts, count(DISTINCT metric) AS metrics, mode(metric) AS metric FROM alert_raised "
        "WHERE as_of >= {since} AND as_of < {until} "
        "GROUP BY component HAVING count(*) >= 10 ORDER BY alerts DESC, component",
        "{alerts} alerts within a day, most of {metric}; find what disturbs it",
    ),
)


async def opportunities(session: Session, as_of: datetime, window: timedelta = WINDOW) -> tuple[Opportunity, ...]:
    """Return what could be better, by a window of time that ends at `as_of`."""
    found: list[Opportunity] = []
    since = as_of - window
    for kind in KINDS:
        query = kind.query.format(since=_constant(since), until=_constant(as_of))
        rows = (await table(session, query)).to_pylist()
        found += [_opportunity(kind, query, row, len(rows), (since, as_of)) for row in rows[:FOUND_MAX]]
    return tuple(found)


def _constant(at: datetime) -> str:
    return f"TIMESTAMPTZ '{stamp(at)}'"


def _opportunity(kind: Kind, query: str, row: Mapping[str, Any], rows: int, window: Sequence[datetime]) -> Opportunity:
    evidence = Evidence(
        query=query, from_at=window[0], until=window[1], rows=rows, rows_json=json.dumps([row], default=str)
    )
    summary = f"{row['component']}: {kind.summary.format(**row)}"
    return Opportunity(name=kind.name, component=row["component"], summary=summary, evidence=evidence)
