"""Where series are heading, and what pattern they follow, as records."""

from typing import Final

from ....schemas.analysis_look import Heading, Pattern
from ..trend import Season, Trend, Trends, change_points
from .asking import EPOCH, instant
from .rows import APART

MATERIAL: Final = 0.1
"""A trend that changes less than this share of a series' level is true, and of no interest."""
SEASONAL: Final = 0.6
"""So much of what a series moves is its usual day or week."""
MORE: Final = 0.1
"""A week explains so much more than a day, or it is the day that is seen."""


def headings(trends: Trends) -> tuple[Heading, ...]:
    """Return the series that go up or down, and matter, the surest first."""
    return tuple(
        heading_of(one) for one in sorted(trends.trends(), key=lambda one: (one.p, one.series)) if matters(one)
    )


def matters(trend: Trend) -> bool:
    """Tell whether a trend is sure, and large enough to be of interest."""
    return trend.direction != "none" and abs(trend.change) >= MATERIAL * abs(trend.level)


def heading_of(trend: Trend) -> Heading:
    """Return a trend as a record."""
    component, _, metric = trend.series.partition(APART)
    return Heading(
        component=component,
        metric=metric,
        direction=trend.direction,
        slope=trend.slope,
        change=trend.change,
        level=trend.level,
        p=trend.p,
        buckets=trend.buckets,
    )


def patterns(trends: Trends) -> tuple[Pattern, ...]:
    """Return the newest shift of each series' level, the newest of all first, and the seasons that are strong."""
    found: list[Pattern] = []
    for series, points in trends.all_points().items():
        component, _, metric = series.partition(APART)
        for change in change_points(points)[-1:]:
            at, before, after = instant(change.at_us), change.before, change.after
            shift = Pattern(
                component=component, metric=metric, pattern="level_shift", at=at, before=before, after=after
            )
            found.append(shift)
    found.sort(key=lambda one: (one.at or EPOCH, one.component, one.metric), reverse=True)
    return (*found, *_seasonal(trends.seasons()))


def _seasonal(seasons: list[Season]) -> list[Pattern]:
    daily = {one.series: one.strength for one in seasons if one.period == "day"}
    weekly = {one.series: one.strength for one in seasons if one.period == "week"}
    found = []
    for series in sorted(daily.keys() | weekly.keys()):
        day, week = daily.get(series, 0.0), weekly.get(series, 0.0)
        name, strength = ("weekly", week) if week > day + MORE else ("daily", day)
        if strength >= SEASONAL:
            component, _, metric = series.partition(APART)
            found.append(Pattern(component=component, metric=metric, pattern=name, strength=strength))
    return found
