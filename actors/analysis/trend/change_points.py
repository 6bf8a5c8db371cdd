"""Where the level of a series changed: CUSUM, and again in each half, as long as what it finds is significant.

The cumulative sum of the deviations from a stretch's mean begins and ends at zero; a change of the level drives it away in
between, furthest at the change. Without a change it is a Brownian bridge, whose largest distance is known.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import fmean, median
from typing import Final, NamedTuple

SIGNIFICANT: Final = 1.95
"""The largest distance of a Brownian bridge stays below this in 999 of 1,000."""
SHORTEST: Final = 5
"""So many points are a level at least."""
MAD_TO_SPREAD: Final = 1.4826
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
    cuts = [0, *_cuts(values, 0, len(values), spread), len(values)]
    levels = [median(values[start:end]) for start, end in pairwise(cuts)]
    return [Change(points[cut][0], *around) for cut, around in zip(cuts[1:-1], pairwise(levels), strict=True)]


def _spread(values: Sequence[float]) -> float:
    """Return the spread of the noise, from the steps between neighbours: changes of the level are few among them."""
    steps = [abs(after - before) for before, after in pairwise(values)]
    if not steps:
        return 0.0
    return MAD_TO_SPREAD * median(steps) / 2**0.5 or max(steps) / CLIP


def _cuts(values: Sequence[float], start: int, end: int, spread: float) -> list[int]:
    if end - start < 2 * SHORTEST:
        return []
    middle = median(values[start:end])
    clipped = [max(-CLIP, min(CLIP, (value - middle) / spread)) for value in values[start:end]]
    mean = fmean(clipped)
    sums = list(accumulate(value - mean for value in clipped))
    cut = max(range(SHORTEST - 1, end - start - SHORTEST), key=lambda place: abs(sums[place]))
    if abs(sums[cut]) < SIGNIFICANT * (end - start) ** 0.5:
        return []
    cut += start + 1
    return [*_cuts(values, start, cut, spread), cut, *_cuts(values, cut, end, spread)]
