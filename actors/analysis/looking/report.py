"""A health report: each component's figures, anomalies, trends and incidents in a window of time, and what could be better."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np

from ....replay.sql.session import Session
from ..trend import Samples, Trends, change_points
from .asking import instant, micros, stamp, table
from .detection import Bools, Detection, Floats, Ints, Verdicts
from .figures import MEANINGS, figures, wanted
from .headings import heading_of, matters
from .opportunities import opportunities
from .rows import APART

ROWS_MAX: Final = 2_000_000
SERIES_MAX: Final = 500
POINTS_MAX: Final = 240
BUCKETS: Final = 60
"""A window is cut into so many buckets for its trends."""
SECOND_US: Final = 1_000_000
Item = dict[str, Any]

_SAMPLES: Final = """
SELECT component || chr(31) || metric AS series, epoch_us(sampled_at) AS at_us, value FROM (
    SELECT * FROM metric_samples WHERE sampled_at < $until::TIMESTAMPTZ AND {wanted} ORDER BY sampled_at DESC LIMIT {limit}
) ORDER BY topic, shard, position, metric, sampled_at
"""
"""The newest ones, in the log's order."""
_INCIDENTS: Final = """
SELECT incident_id AS id, component_id AS component, status, message, opened_at, closed_at, result, duration_ms FROM incidents
WHERE opened_at < $until::TIMESTAMPTZ AND coalesce(closed_at >= $since::TIMESTAMPTZ, true) ORDER BY opened_at DESC LIMIT 200
"""
_RESTARTS: Final = """
SELECT component, count(*) AS restarts FROM restarts
WHERE restarted_at >= $since::TIMESTAMPTZ AND restarted_at < $until::TIMESTAMPTZ GROUP BY component ORDER BY component
"""


class Wanted(NamedTuple):
    """What a report is about: [since, until), components and metrics (or `all`)."""

    since: datetime
    until: datetime
    components: tuple[str, ...] = ("all",)
    metrics: tuple[str, ...] = ("all",)


class Curve(NamedTuple):
    """One series: its samples in time's order, and what the detectors said of each when it came."""

    at_us: Ints
    values: Floats
    scores: Floats
    onsets: Bools
    states: Bools


async def make_report(session: Session, about: Wanted) -> Item:
    """Return a report as a JSON object; instants are ISO 8601 in UTC."""
    window = {"since": stamp(about.since), "until": stamp(about.until)}
    found = await figures(session, about.components, about.metrics, about.since, about.until)
    curves = await _curves(session, about)
    moves = _moves(curves, about)
    series = [
        {**one.model_dump(mode="json"), **moves.get(f"{one.component}{APART}{one.metric}", {})}
        for one in found[:SERIES_MAX]
    ]
    incidents = [_plain(row) for row in (await table(session, _INCIDENTS, window)).to_pylist()]
    restarts = {row["component"]: row["restarts"] for row in (await table(session, _RESTARTS, window)).to_pylist()}
    better = await opportunities(session, about.until, about.until - about.since)
    shown = [one for one in incidents if "all" in about.components or one["component"] in about.components]
    return {
        "since": _text(about.since),
        "as_of": _text(about.until),
        "components": _components(series, shown, restarts),
        "series_left_out": max(len(found) - SERIES_MAX, 0),
        "missing_metrics": _missing(about, {one.metric for one in found}),
        "incidents": shown,
        "opportunities": [
            one.model_dump(mode="json")
            for one in better
            if "all" in about.components or one.component in about.components
        ],
    }


async def _curves(session: Session, about: Wanted) -> dict[str, Curve]:
    """Score every series from its own past, as far as the history goes and as there is room."""
    query = _SAMPLES.format(wanted=wanted(about.components, about.metrics), limit=ROWS_MAX)
    found = await table(session, query, {"until": stamp(about.until)})
    if not found.num_rows:
        return {}
    series = found["series"].combine_chunks().dictionary_encode()
    names, codes = series.dictionary.to_pylist(), series.indices.to_numpy().astype(np.int64)
    at_us, values = found["at_us"].to_numpy().astype(np.int64), found["value"].to_numpy().astype(np.float64)
    verdicts = Detection(SERIES_MAX).take(names, codes, at_us, values)
    return {name: _curve(codes == code, at_us, values, verdicts) for code, name in enumerate(names[:SERIES_MAX])}


def _curve(rows: Bools, at_us: Ints, values: Floats, verdicts: Verdicts) -> Curve:
    order = np.argsort(at_us[rows], kind="stable")
    whole = Curve(at_us, values, verdicts.scores, verdicts.onsets, verdicts.states)
    return _part(_part(whole, rows), order)


def _part(curve: Curve, rows: Bools | Ints) -> Curve:
    at_us, values, scores, onsets, states = curve
    return Curve(at_us[rows], values[rows], scores[rows], onsets[rows], states[rows])


def _moves(curves: Mapping[str, Curve], about: Wanted) -> dict[str, Item]:
    since_us, until_us = micros(about.since), micros(about.until)
    shown = {name: _within(curve, since_us) for name, curve in curves.items()}
    width_us = max((until_us - since_us) // BUCKETS, SECOND_US)
    with Trends(width_us, BUCKETS + 1) as trends:
        for name, curve in shown.items():
            rows = zip([name] * len(curve.at_us), curve.at_us.tolist(), curve.values.tolist(), strict=True)
            trends.add(Samples.of(rows))
        headings = {one.series: heading_of(one) for one in trends.trends() if matters(one)}
        points = trends.all_points()
    found = {}
    for name, curve in shown.items():
        heading = headings.get(name)
        found[name] = {
            "anomalies": _anomalies(curve),
            "anomalous": bool(len(curve.states) and curve.states[-1]),
            "trend": None if heading is None else heading.model_dump(exclude={"component", "metric"}),
            "level_shifts": [
                {"at": _text(instant(one.at_us)), "before": one.before, "after": one.after}
                for one in change_points(points.get(name, []))
            ],
            "points": _points(curve),
        }
    return found


def _within(curve: Curve, since_us: int) -> Curve:
    return _part(curve, curve.at_us >= since_us)


def _anomalies(curve: Curve) -> list[Item]:
    return [
        {
            "at": _text(instant(int(curve.at_us[row]))),
            "value": float(curve.values[row]),
            "score": float(curve.scores[row]),
        }
        for row in np.flatnonzero(curve.onsets)
    ]


def _points(curve: Curve) -> list[list[Any]]:
    """Return what a plot needs: of each stretch of time the lowest and the highest sample, with its state."""
    rows = np.flatnonzero(np.isfinite(curve.values))
    if len(rows) > POINTS_MAX:
        ends = [
            (part[np.argmin(curve.values[part])], part[np.argmax(curve.values[part])])
            for part in np.array_split(rows, POINTS_MAX // 2)
        ]
        rows = np.unique(np.array(ends).ravel())
    return [[int(curve.at_us[row]), float(curve.values[row]), int(curve.states[row])] for row in rows]


def _components(series: Sequence[Item], incidents: Sequence[Item], restarts: Mapping[str, int]) -> list[Item]:
    names = sorted({one["component"] for one in (*series, *incidents)} | set(restarts))
    return [_component(name, series, incidents, restarts.get(name, 0)) for name in names]


def _component(name: str, series: Sequence[Item], incidents: Sequence[Item], restarts: int) -> Item:
    own = [one for one in series if one["component"] == name]
    cases = [one for one in incidents if one["component"] == name]
    ill = any(one["result"] == "open" for one in cases)
    restless = any(one.get("anomalous") or one.get("trend") for one in own)
    return {
        "component": name,
        "health": "ill" if ill else "watch" if restless or cases or restarts else "well",
        "incidents": len(cases),
        "restarts": restarts,
        "anomalies": sum(len(one.get("anomalies", ())) for one in own),
        "series": own,
    }


def _missing(about: Wanted, found: set[str]) -> list[str]:
    """Return the metrics that were asked for and that nobody has sent."""

    def is_there(name: str) -> bool:
        pattern = MEANINGS.get(name.lower())
        return name in found or (pattern is not None and any(re.search(pattern, one.lower()) for one in found))

    return [name for name in about.metrics if name != "all" and not is_there(name)]


def summary(report: Item) -> str:
    """Return a report in a sentence."""
    counts = {
        health: sum(one["health"] == health for one in report["components"]) for health in ("ill", "watch", "well")
    }
    anomalies = sum(one["anomalies"] for one in report["components"])
    return (
        f"{len(report['components'])} components: {counts['ill']} ill, {counts['watch']} to watch, {counts['well']} well; "
        f"{anomalies} anomalies, {len(report['incidents'])} incidents, {len(report['opportunities'])} opportunities"
    )


def _plain(row: Mapping[str, Any]) -> Item:
    return {name: _text(value) if isinstance(value, datetime) else value for name, value in row.items()}


def _text(at: datetime) -> str:
    return stamp(at).replace("+00:00", "Z")
