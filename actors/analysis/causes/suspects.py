"""What each component's own metrics say of it."""

from collections.abc import Iterable, Mapping, Sequence
from math import log1p
from typing import Final, NamedTuple

import numpy as np

from .kinds import Kind, good_when_high, kind_of
from .shift import Around, Floats, Instants, Shift, shift

Series = tuple[Instants, Floats]
"""Times in micros UTC, ascending, and values; NaN where there is none."""
Metrics = Mapping[tuple[str, str], Series]
"""(component, metric) -> its series."""

NOTICED: Final = 1.0
"""From this (compressed) strength on a move counts for the order of onsets."""
FLEET_SHARE: Final = 0.02
"""What never moved before (errors, mostly) is measured by this share of the highest that any component has."""
FALLING: Final = 0.4
"""A resource that is used less is mostly one that got less to do."""
LESS_WORK: Final = 0.2
MORE_WORK: Final = 0.5


class Found(NamedTuple):
    """One metric's move; `weight` is its strength, compressed, and as far as such a move speaks against the component."""

    metric: str
    kind: Kind
    weight: float
    shift: Shift


class Suspect(NamedTuple):
    """A component: `own` by what it uses and is given to do, `answer` by what its callers notice, `first_us` its first onset."""

    component: str
    found: Sequence[Found]
    own: float
    answer: float
    first_us: int | None


def suspects(metrics: Metrics, names: Iterable[str], around: Around) -> dict[str, Suspect]:
    """Return each named component with what moved in it."""
    found: dict[str, list[Found]] = {name: [] for name in names}
    floors = _floors(metrics)
    for (component, metric), (times, values) in metrics.items():
        moved = shift(times, values, around, floors[metric])
        if moved is not None and moved.certainty > 0 and moved.effect > 0:
            found[component].append(Found(metric, kind_of(metric), _weight(metric, moved), moved))
    return {name: _suspect(name, moves) for name, moves in found.items()}


def _floors(metrics: Metrics) -> dict[str, float]:
    """Return for each metric's name the least spread: a share of the highest that any component has."""
    highest: dict[str, float] = {}
    for (_, metric), (_, values) in metrics.items():
        sizes = np.abs(values[np.isfinite(values)])
        highest[metric] = max(highest.get(metric, 0.0), float(sizes.max(initial=0.0)))
    return {metric: FLEET_SHARE * high for metric, high in highest.items()}


def _weight(metric: str, moved: Shift) -> float:
    strength = log1p(moved.effect) * moved.certainty
    match kind_of(metric):
        case Kind.WORK:
            return strength * (MORE_WORK if moved.up else LESS_WORK)
        case Kind.ANSWER:
            return strength * (FALLING if moved.up == good_when_high(metric) else 1.0)
    return strength * (1.0 if moved.up else FALLING)


def _suspect(component: str, found: list[Found]) -> Suspect:
    found.sort(key=lambda one: (-one.weight, one.metric))
    return Suspect(
        component,
        found,
        max((one.weight for one in found if one.kind is not Kind.ANSWER), default=0.0),
        max((one.weight for one in found if one.kind is Kind.ANSWER), default=0.0),
        min((one.shift.onset_us for one in found if one.weight >= NOTICED), default=None),
    )
