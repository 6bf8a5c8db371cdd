"""How much one metric moved around an incident, in which direction, and when that began."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Instants = npt.NDArray[np.int64]
Series = tuple[Instants, Floats]
"""Times in micros UTC, ascending, and values; NaN where there is none."""
Metrics = Mapping[tuple[str, str], Series]
"""(component, metric) -> its series."""

QUIET_MIN: Final = 4
"""Samples before the incident without which nothing can be said of a metric."""
AFTER_MIN: Final = 2
LEVEL_SHARE: Final = 0.02
"""A metric that stands still is taken to move by this share of its level: a step of one bit is no incident."""
OUTLIER_SHARE: Final = 0.1
"""One that stands still but for rare bursts, by this share of its standard deviation."""
DRIFT: Final = 1.0
"""The slack of the CUSUM, in spreads; what a metric strays within it adds up to nothing."""
CLIP: Final = 6.0
"""One sample counts for so many spreads at most in the CUSUM: an onset needs several, or comes where several begin."""
EFFECT_MAX: Final = 100.0
MAD_TO_SPREAD: Final = 1.4826
IQR_TO_SPREAD: Final = 0.7413
HIGH: Final = 0.9
PEAKS: Final = 0.5
"""A rise of the upper end alone counts for so much of a rise of the middle."""
STRETCHES_MAX: Final = 12


class Shift(NamedTuple):
    """A metric's move: `effect` in spreads of its own past, `certainty` from 0 to 1, `up` or down, since `onset_us`.

    The certainty is Cliff's delta between the samples after the onset and those of the quiet time (1: all of them are higher,
    or all lower), less what stretches of the quiet time differ among themselves. `baseline` and `observed` are medians.
    """

    effect: float
    certainty: float
    up: bool
    onset_us: int
    baseline: float
    observed: float


class Around(NamedTuple):
    """The incident in time, micros UTC: quiet until `quiet_until_us`, looked at until `end_us` (inclusive).

    A silence may begin as early as `silent_from_us`: what died stays dead, however late anybody sees a symptom.
    """

    silent_from_us: int
    quiet_until_us: int
    seen_us: int
    end_us: int


class Scale(NamedTuple):
    """From where a metric is measured (0, or the top of a share), and the least spread of one that never moved before."""

    zero: float
    floor: float


def shift(times: Instants, values: Floats, around: Around, scale: Scale) -> Shift | None:
    """Measure the move of a metric whose samples are in order of time; None where there is too little to compare."""
    finite = np.isfinite(values)
    times, values = times[finite], values[finite]
    before, during = times < around.quiet_until_us, (times >= around.quiet_until_us) & (times <= around.end_us)
    quiet, moved, when = values[before], values[during], times[during]
    if len(quiet) < QUIET_MIN or len(moved) < AFTER_MIN:
        return None
    middle, spread = float(np.median(quiet)), _spread(quiet, scale)
    start = _onset((moved - middle) / spread)
    after = moved[start:]
    delta = _delta(after, np.sort(quiet))
    certainty = max(abs(delta) - _unrest(quiet, len(after)), 0.0)
    effect = min(_effect(after, quiet, spread, up=delta > 0), EFFECT_MAX)
    return Shift(effect, certainty, delta > 0, int(when[start]), middle, float(np.median(after)))


def _spread(quiet: Floats, scale: Scale) -> float:
    """Return the robust spread of the quiet samples; never zero."""
    middle = float(np.median(quiet))
    low, high = np.quantile(quiet, (0.25, 0.75))
    own = max(MAD_TO_SPREAD * float(np.median(np.abs(quiet - middle))), IQR_TO_SPREAD * float(high - low))
    least = max(
        LEVEL_SHARE * abs(middle - scale.zero), OUTLIER_SHARE * float(np.std(quiet)), scale.floor if own == 0 else 0.0
    )
    return max(own, least) or 1.0


def _onset(deviations: Floats) -> int:
    """Return the first sample of the rise that takes a two-sided CUSUM to its highest."""
    clipped = np.clip(deviations, -CLIP, CLIP)
    best, start = 0.0, 0
    for signed in (clipped, -clipped):
        total = np.concatenate(([0.0], np.cumsum(signed - DRIFT)))
        rises = total - np.minimum.accumulate(total)
        top = int(np.argmax(rises))
        if rises[top] > best:
            best, start = float(rises[top]), int(np.argmin(total[: top + 1]))
    return min(start, len(deviations) - AFTER_MIN)


def _delta(after: Floats, quiet_sorted: Floats) -> float:
    """Return Cliff's delta: how much more often a sample after is higher than one before, than lower."""
    lower = np.searchsorted(quiet_sorted, after, side="left")
    not_higher = np.searchsorted(quiet_sorted, after, side="right")
    return float(np.mean(lower + not_higher)) / len(quiet_sorted) - 1.0


def _unrest(quiet: Floats, length: int) -> float:
    """Return how far a stretch of the quiet time is from all of it, usually at worst, as Cliff's delta."""
    length = max(min(length, len(quiet) // 4), len(quiet) // STRETCHES_MAX, 1)
    ordered = np.sort(quiet)
    found = [abs(_delta(quiet[start : start + length], ordered)) for start in range(0, len(quiet) - length + 1, length)]
    return float(np.mean(found))


def _effect(after: Floats, quiet: Floats, spread: float, *, up: bool) -> float:
    """Return how far the middle went, or half as far as the upper end did if only that rose, in spreads."""
    by_middle = abs(float(np.median(after)) - float(np.median(quiet)))
    by_peaks = PEAKS * (float(np.quantile(after, HIGH)) - float(np.quantile(quiet, HIGH))) if up else 0.0
    return max(by_middle, by_peaks) / spread
