"""A health report as one HTML page: plots are inline SVG, nothing is loaded and nothing runs; what others wrote is escaped."""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any, Final

from .plain_value import instant_of_us, seconds

Item = Mapping[str, Any]
WIDTH, HEIGHT, EDGE = 640, 120, 6
STYLE: Final = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1b1f24; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.2rem; border-bottom: 1px solid #d0d7de; } .when { color: #57606a; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .6rem .3rem 0; vertical-align: top; }
tr + tr td { border-top: 1px solid #eaeef2; }
.ill { color: #b42318; font-weight: 600; } .watch { color: #9a6700; } .well { color: #1a7f37; }
svg { width: 100%; height: auto; background: #f6f8fa; } .line { fill: none; stroke: #0969da; stroke-width: 1.4; }
.state { fill: #ffd8d3; } .onset { fill: #b42318; } text { font: 10px system-ui, sans-serif; fill: #57606a; }
pre { white-space: pre-wrap; background: #f6f8fa; padding: .6rem; font-size: 12px; }
"""
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def page(report: Item) -> str:
    """Return the page."""
    title = f"Health report, {seconds(report['since'])} to {seconds(report['as_of'])}"
    parts = [
        f"<h1>Health report</h1><p class=when>{_text(seconds(report['since']))} to {_text(seconds(report['as_of']))}</p>",
        f"<p>{_text(report['summary'])}</p>",
        _components(report["components"]),
        _section("Open alerts", (_alert(one) for one in report["alerts"])),
        _section("Incidents", (_incident(one) for one in report["incidents"])),
        _section("What could be better", (_opportunity(one) for one in report["opportunities"])),
        *(_curves(one) for one in report["components"] if one["series"]),
        _section("Nobody has sent", (f"<p>{_text(one)}</p>" for one in report["missing_metrics"])),
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>{_text(title)}</title><style>{STYLE}</style>'
    )
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n'
        + "\n".join(filter(None, parts))
        + "\n</body></html>"
    )


def _text(value: Any) -> str:
    return escape("-" if value is None else str(value), quote=True)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"


def _section(title: str, parts: Iterable[str]) -> str:
    inside = "".join(parts)
    return f"<h2>{title}</h2>{inside}" if inside else ""


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{one}</th>" for one in headings)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _components(components: Sequence[Item]) -> str:
    rows = [
        (
            _text(one["component"]),
            f"<span class={_text(one['health'])}>{_text(one['health'])}</span>",
            *(str(one[name]) for name in ("incidents", "restarts", "anomalies")),
        )
        for one in components
    ]
    return f"<h2>Components</h2>{_table(('component', 'health', 'incidents', 'restarts', 'anomalies'), rows)}"


def _alert(one: Item) -> str:
    words = f"{one['component']} {one['metric']}: {_number(one['value'])} since {seconds(one['at'])}"
    silent = " (silenced)" if one["silenced"] else ""
    known = f", acknowledged by {one['acknowledged_by']}" if one["acknowledged_by"] else ""
    return f"<p>{_text(words + silent + known)}</p>"


def _incident(one: Item) -> str:
    head = f"{one['component']}, {seconds(one['opened_at'])}: {one['result']}"
    return f"<p><b>{_text(head)}</b><br>{_text(one['status'])}: {_text(one['message'])}</p>"


def _opportunity(one: Item) -> str:
    evidence = one["evidence"]
    rows = json.dumps(json.loads(evidence["rows_json"]), indent=1, ensure_ascii=False)
    details = (
        f"<details><summary>evidence</summary><pre>{_text(evidence['query'])}</pre><pre>{_text(rows)}</pre></details>"
    )
    return f"<p><b>{_text(one['name'])}</b>: {_text(one['summary'])}</p>{details}"


def _curves(component: Item) -> str:
    return f"<h2>{_text(component['component'])}</h2>" + "".join(_series(one) for one in component["series"])


def _series(one: Item) -> str:
    figures = " · ".join(f"{name} {_number(one[name])}" for name in ("last", "minimum", "median", "p95", "maximum"))
    said = [f"goes {one['trend']['direction']} by {_number(one['trend']['change'])}"] if one.get("trend") else []
    said += [
        f"level {_number(shift['before'])} to {_number(shift['after'])} at {seconds(shift['at'])}"
        for shift in one.get("level_shifts", ())
    ]
    said += [f"{len(one['anomalies'])} anomalies"] if one.get("anomalies") else []
    words = _text(" · ".join([figures, *said]))
    return f"<h3>{_text(one['metric'])}</h3><p class=when>{words}</p>{plot(one.get('points', ()), one['metric'])}"


def plot(points: Sequence[Sequence[float]], name: str) -> str:
    """Return a curve of points (micros UTC, value, whether an anomaly lasts) as SVG; nothing for fewer than two."""
    if len(points) < 2:  # noqa: PLR2004 - a line has two ends
        return ""
    (first, last), values = (points[0][0], points[-1][0]), [point[1] for point in points]
    low, high = min(values), max(values)

    def across(at_us: float) -> float:
        return EDGE + (at_us - first) / max(last - first, 1) * (WIDTH - 2 * EDGE)

    def up(value: float) -> float:
        return HEIGHT - EDGE - (value - low) / ((high - low) or 1.0) * (HEIGHT - 2 * EDGE)

    line = " ".join(f"{across(at_us):.1f},{up(value):.1f}" for at_us, value, _ in points)
    marks = "".join(_stretch(across(one[0]), across(after[0])) for one, after in pairwise(points) if one[2])
    dots = "".join(
        f'<circle class=onset cx="{across(one[0]):.1f}" cy="{up(one[1]):.1f}" r="3"/>'
        for before, one in zip([(0, 0, 0), *points], points, strict=False)
        if one[2] and not before[2]
    )
    ends = (
        f'<text x="{EDGE}" y="{HEIGHT + 12}">{seconds(instant_of_us(int(first)))} · {_number(low)} to {_number(high)}</text>'
        f'<text x="{WIDTH - EDGE}" y="{HEIGHT + 12}" text-anchor="end">{seconds(instant_of_us(int(last)))}</text>'
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT + 16}" role="img"><title>{_text(name)}</title>{marks}'
        f'<polyline class=line points="{line}"/>{dots}{ends}</svg>'
    )


def _stretch(begin: float, end: float) -> str:
    return f'<rect class=state x="{begin:.1f}" y="0" width="{max(end - begin, 1):.1f}" height="{HEIGHT}"/>'
