"""What each component's own metrics say of it."""

from collections.abc import Iterable, Sequence
from math import log1p
from typing import Final, NamedTuple

import numpy as np

from .kinds import Answer, Kind, answer_of, good_when_high, kind_of
from .shift import Around, Floats, Metrics, Scale, Series, Shift, shift
from .silence import Gone, silences

__all__ = ["Found", "Metrics", "Series", "Suspect", "suspects"]

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
    """A component: `own` by what it uses and is given to do, `answer` by what its callers notice, `first_us` its first onset.

    `worst` is what is worst about its answers, `tells` what of them is measured at all; `gone` says how much of it fell silent.
    """

    component: str
    found: Sequence[Found]
    own: float
    answer: float
    first_us: int | None
    worst: Answer | None
    tells: frozenset[Answer]
    gone: Gone | None

    @property
    def felt(self) -> float:
        """How bad its callers may find it: it answers badly, or not at all."""
        return max(self.answer, self.gone.weight if self.gone else 0.0)


def suspects(metrics: Metrics, names: Iterable[str], around: Around) -> dict[str, Suspect]:
    """Return each named component with what moved in it."""
    found: dict[str, list[Found]] = {name: [] for name in names}
    tells: dict[str, set[Answer]] = {name: set() for name in found}
    scales = {metric: _scale(metric, all_of) for metric, all_of in _by_name(metrics).items()}
    for (component, metric), (times, values) in metrics.items():
        moved = shift(times, values, around, scales[metric])
        answer = answer_of(metric)
        if moved is not None and answer is not None:
            tells[component].add(answer)
        if moved is not None and moved.certainty > 0 and moved.effect > 0:
            found[component].append(Found(metric, kind_of(metric), _weight(metric, moved), moved))
    gone = silences(metrics, around)
    return {name: _suspect(name, moves, tells[name], gone.get(name)) for name, moves in found.items()}


def _by_name(metrics: Metrics) -> dict[str, list[Floats]]:
    named: dict[str, list[Floats]] = {}
    for (_, metric), (_, values) in metrics.items():
        named.setdefault(metric, []).append(values[np.isfinite(values)])
    return named


def _scale(metric: str, of_all: list[Floats]) -> Scale:
    """Return from where a metric is measured, and the least spread: a share of the farthest that any component has from there.

    A share that is good when high (of 1, or of 100) is measured from its top: from 99.9 to 95 percent is far.
    """
    known = np.concatenate(of_all)
    if not len(known):
        return Scale(0.0, 0.0)
    top = next((top for top in (1.0, 100.0) if top / 2 < np.median(known) and known.max() <= top), 0.0)
    zero = top if good_when_high(metric) else 0.0
    return Scale(zero, FLEET_SHARE * float(np.abs(known - zero).max()))


def _weight(metric: str, moved: Shift) -> float:
    strength = log1p(moved.effect) * moved.certainty
    match kind_of(metric):
        case Kind.WORK:
            return strength * (MORE_WORK if moved.up else LESS_WORK)
        case Kind.ANSWER:
            return strength * (FALLING if moved.up == good_when_high(metric) else 1.0)
    return strength * (1.0 if moved.up else FALLING)


def _suspect(component: str, found: list[Found], tells: set[Answer], gone: Gone | None) -> Suspect:
    found.sort(key=lambda one: (-one.weight, one.metric))
    onsets = [one.shift.onset_us for one in found if one.weight >= NOTICED]
    answers = [one for one in found if one.kind is Kind.ANSWER]
    return Suspect(
        component,
        found,
        max((one.weight for one in found if one.kind is not Kind.ANSWER), default=0.0),
        answers[0].weight if answers else 0.0,
        min([*onsets, gone.since_us] if gone else onsets, default=None),
        answer_of(answers[0].metric) if answers else None,
        frozenset(tells),
        gone,
    )
