"""Where the level of a series changed: CUSUM, and again in each half, as long as what it finds is significant.

The cumulative sum of the deviations from a stretch's mean begins and ends at zero; a change of the level drives it away in
between, furthest at the change. Without a change it is a Brownian bridge, whose largest distance is known.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import sqrt
from statistics import fmean, median
from typing import Final, NamedTuple

SIGNIFICANT: Final = 1.95
"""The largest distance of a Brownian bridge stays below this in 999 of 1,000."""
SHORTEST: Final = 5
"""So many points are a level at least."""
MAD_TO_SPREAD: Final = 1.4826
ECHO_MAX: Final = 0.99
CLIP: Final = 4.0
"""A single point counts for so many spreads at most: a spike is no new level."""

Points = Sequence[tuple[int, float]]


class Change(NamedTuple):
    """The level went from `before` to `after` (medians of the stretches between changes) at the point dated `at_us`."""

    at_us: int
    before: float
    after: float


def change_points(points: Points) -> list[Change]:
    """Find the changes in points (micros UTC, value) that are in order, such as `Trends.points` gives."""
    values = [value for _, value in points]
    spread = _spread(values)
    if spread == 0:
        return []
    cuts = [0, *_without_echoes(values, _cuts(values, 0, len(values), spread), spread), len(values)]
    levels = [median(values[start:end]) for start, end in pairwise(cuts)]
    return [Change(points[cut][0], *around) for cut, around in zip(cuts[1:-1], pairwise(levels), strict=True)]


def _spread(values: Sequence[float]) -> float:
    """Return the spread of the noise, from the steps between neighbours: changes of the level are few among them."""
    steps = [abs(after - before) for before, after in pairwise(values)]
    if not steps:
        return 0.0
    return MAD_TO_SPREAD * median(steps) / 2**0.5 or max(steps) / CLIP


def _cuts(values: Sequence[float], start: int, end: int, spread: float) -> list[int]:
    """Return the changes that there would be if what is left were noise."""
    if end - start < 2 * SHORTEST:
        return []
    clipped = _clipped(values[start:end], spread)
    mean = fmean(clipped)
    sums = list(accumulate(value - mean for value in clipped))
    cut = max(range(SHORTEST - 1, end - start - SHORTEST), key=lambda place: abs(sums[place]))
    if abs(sums[cut]) < SIGNIFICANT * (end - start) ** 0.5:
        return []
    cut += start + 1
    return [*_cuts(values, start, cut, spread), cut, *_cuts(values, cut, end, spread)]


def _clipped(values: Sequence[float], spread: float) -> list[float]:
    middle = median(values)
    return [max(-CLIP, min(CLIP, (value - middle) / spread)) for value in values]


def _without_echoes(values: Sequence[float], cuts: list[int], spread: float) -> list[int]:
    """Drop the weakest cut, again and again, until each is significant between its neighbours."""
    while cuts:
        ends = [0, *cuts, len(values)]
        stretches = zip(ends, ends[1:], ends[2:], strict=False)
        strengths = [_strength(values[start:cut], values[cut:end], spread) for start, cut, end in stretches]
        weakest = min(range(len(cuts)), key=strengths.__getitem__)
        if strengths[weakest] >= 1:
            break
        cuts = [*cuts[:weakest], *cuts[weakest + 1 :]]
    return cuts


def _strength(before: Sequence[float], after: Sequence[float], spread: float) -> float:
    """Return how far the sums stray at the cut between two stretches, of what is significant where the rest echoes itself so."""
    count = len(before) + len(after)
    clipped = _clipped([*before, *after], spread)
    far = abs(sum(clipped[: len(before)]) - fmean(clipped) * len(before))
    return far / (SIGNIFICANT * sqrt(count) * _restlessness(before, after, spread))


def _restlessness(before: Sequence[float], after: Sequence[float], spread: float) -> float:
    """Return how far the sums of what is left of two levels stray, against those of noise: what echoes itself strays far."""
    rest = [(value - level) / spread for part in (before, after) for level in (median(part),) for value in part]
    most = CLIP * max(MAD_TO_SPREAD * median(map(abs, rest)), 1.0)
    rest = [max(-most, min(most, value)) for value in rest]
    energy = sum(value * value for value in rest)
    echo = sum(one * other for one, other in pairwise(rest)) / energy if energy else 0.0
    echo = min(max(echo, 0.0), ECHO_MAX)
    return max(sqrt(energy / len(rest) * (1 + echo) / (1 - echo)), 1.0)
