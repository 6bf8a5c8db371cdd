"""How much one metric moved around an incident, in which direction, and when that began."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Instants = npt.NDArray[np.int64]

BASELINE_MIN: Final = 4
"""Samples before the incident without which nothing can be said of a metric."""
AFTER_MIN: Final = 2
SPREAD_SHARE: Final = 0.02
"""A metric that stands still is taken to move by this share of its level: a step of one bit is no incident."""
DRIFT: Final = 1.0
"""The slack of the CUSUM, in spreads; what a metric strays within it adds up to nothing."""
CLIP: Final = 6.0
"""One sample counts for so many spreads at most in the CUSUM: an onset needs several, or comes where several begin."""
MAD_TO_SPREAD: Final = 1.4826
IQR_TO_SPREAD: Final = 0.7413
HIGH: Final = 0.9


class Shift(NamedTuple):
    """A metric's move: `strength` in spreads of its own past beyond what it also does in quiet times, never negative.

    `up` tells the direction, `onset_us` when it began; `baseline` and `observed` are the medians before and after.
    """

    strength: float
    up: bool
    onset_us: int
    baseline: float
    observed: float


class Around(NamedTuple):
    """The incident in time, micros UTC: quiet until `quiet_until_us`, looked at until `end_us` (inclusive)."""

    quiet_until_us: int
    seen_us: int
    end_us: int


def shift(times: Instants, values: Floats, around: Around) -> Shift | None:
    """Measure the move of a metric whose samples are in order of time; None where there is too little to compare."""
    finite = np.isfinite(values)
    times, values = times[finite], values[finite]
    before, during = times < around.quiet_until_us, (times >= around.quiet_until_us) & (times <= around.end_us)
    quiet, moved, when = values[before], values[during], times[during]
    if len(quiet) < BASELINE_MIN or len(moved) < AFTER_MIN:
        return None
    middle, spread = float(np.median(quiet)), _spread(quiet)
    start = _onset((moved - middle) / spread)
    after = moved[start:]
    strength, up = _move(after, quiet, middle, spread)
    quiet_strength = _in_quiet_times(quiet, len(after), middle, spread)
    return Shift(
        max(strength - quiet_strength, 0.0) / (1.0 + quiet_strength),
        up,
        int(when[start]),
        middle,
        float(np.median(after)),
    )


def _spread(quiet: Floats) -> float:
    """Return the robust spread of the quiet samples; never zero."""
    middle = np.median(quiet)
    low, high = np.quantile(quiet, (0.25, 0.75))
    by_deviation = MAD_TO_SPREAD * float(np.median(np.abs(quiet - middle)))
    floor = SPREAD_SHARE * float(np.abs(middle)) + 0.1 * float(np.std(quiet))
    return max(by_deviation, IQR_TO_SPREAD * float(high - low), floor, np.finfo(np.float64).tiny ** 0.5)


def _onset(deviations: Floats) -> int:
    """Return the first sample of the rise that takes a two-sided CUSUM to its highest."""
    clipped = np.clip(deviations, -CLIP, CLIP)
    best, start = 0.0, 0
    for signed in (clipped, -clipped):
        total = np.cumsum(signed - DRIFT)
        lowest = np.minimum.accumulate(np.concatenate(([0.0], total)))[:-1]
        top = int(np.argmax(total - lowest))
        if total[top] - lowest[top] > best:
            best = float(total[top] - lowest[top])
            start = int(np.argmin(np.concatenate(([0.0], total))[: top + 1]))
    return min(start, len(deviations) - AFTER_MIN)


def _move(after: Floats, quiet: Floats, middle: float, spread: float) -> tuple[float, bool]:
    """Return how far the middle or the upper end of the samples went, in spreads, and whether upwards."""
    by_middle = (float(np.median(after)) - middle) / spread
    by_peaks = 0.5 * (float(np.quantile(after, HIGH)) - float(np.quantile(quiet, HIGH))) / spread
    move = by_peaks if by_peaks > abs(by_middle) else by_middle
    return abs(move), move > 0


def _in_quiet_times(quiet: Floats, length: int, middle: float, spread: float) -> float:
    """Return the strongest move of stretches of the quiet time that are as long as what is compared with them."""
    length = min(length, max(len(quiet) // 3, 1))
    stretches = [quiet[start : start + length] for start in range(0, len(quiet) - length + 1, length)]
    return max(abs(float(np.median(stretch)) - middle) / spread for stretch in stretches)
