"""What is looked at in a series: its level, its course at the same hour, and how much it varies."""

from typing import Final

import numpy as np

from .columns import Bools, Columns, Floats, Ints
from .means import Means
from .seasonal import HOUR_US, SameHour

LEVEL: Final = slice(0, 4)
"""Rows of the level detector: the value itself, and its means over 4, 16 and 64 samples."""
SEASONAL: Final = 4
"""The row of the seasonal detector: how far the mean over 4 is from what it was at the same hour of the last days."""
VARIANCE: Final = slice(5, 7)
"""Rows of the change-of-variance detector: binary logarithms of the mean step over 16 and 64 samples."""
LONG: Final = [3, 6]
"""The rows of means over the longest time."""
SHORT: Final = [0, 1, 2, 4, 5]
COUNT: Final = 7
VALUE: Final = 0
MEAN_OF_FOUR: Final = 1

MEMORY: Final = 300
"""Samples after which what is usual of steps and level is mostly forgotten."""
CLIP: Final = 4.0
"""A step counts for so many usual ones at most."""
SETTLED: Final = 20
LEVEL_SHARE: Final = 0.001
TINY: Final = 1e-12
STEP_SHARE: Final = 0.1
NO_HOUR: Final = int(np.iinfo(np.int64).min)


class Features(Columns):
    """The state of all features of each series."""

    def __init__(self, count: int) -> None:
        """Know nothing yet."""
        self.values = Means(count)
        self.steps = Means(count)
        self.same_hour = SameHour(count)
        self.seen: Ints = np.zeros(count, dtype=np.int64)
        self.hour: Ints = np.full(count, NO_HOUR, dtype=np.int64)
        self.before: Floats = np.zeros(count)
        self.step: Floats = np.zeros(count)
        self.level: Floats = np.zeros(count)

    @property
    def least(self) -> Floats:
        """The least that counts as a move of each series: a thousandth of its level."""
        return LEVEL_SHARE * np.abs(self.level) + TINY

    def push(self, at_us: Ints, values: Floats) -> Floats:
        """Take in a sample each; return the features, a row each."""
        fresh = self.seen == 0
        if fresh.any():
            self._begin(fresh, values)
        hours = at_us // HOUR_US
        self._turn(hours)
        step = np.abs(values - self.before)
        self._follow(values, step)
        self.before[:] = values
        rows = np.empty((COUNT, len(values)))
        rows[VALUE] = values
        rows[1], rows[2], rows[3] = self.values.push(values)
        rows[SEASONAL] = self.same_hour.distance(hours, rows[MEAN_OF_FOUR])
        self.same_hour.learn(rows[MEAN_OF_FOUR])
        _, *varies = self.steps.push(step)
        least_step = STEP_SHARE * self.step + self.least
        rows[5], rows[6] = (_log2(mean + least_step) for mean in varies)
        return rows

    def _begin(self, fresh: Bools, values: Floats) -> None:
        """Let the past of a new series be as if it had always been as it is."""
        self.values.fill(fresh, values)
        self.before[:] = np.where(fresh, values, self.before)
        self.level[:] = np.where(fresh, values, self.level)

    def _turn(self, hours: Ints) -> None:
        turned = (hours != self.hour) & (self.hour != NO_HOUR)
        if turned.any():
            which = np.flatnonzero(turned)
            self.same_hour.close(which, self.hour[which])
        self.hour[:] = hours

    def _follow(self, values: Floats, step: Floats) -> None:
        """Follow the usual step, against outliers, and the level."""
        self.seen += 1
        weight = 1.0 / np.minimum(self.seen, MEMORY)
        clipped = np.where(self.seen <= SETTLED, step, np.minimum(step, CLIP * self.step + TINY))
        self.step += weight * (clipped - self.step)
        self.level += weight * (values - self.level)


def _log2(values: Floats) -> Floats:
    """Return a logarithm to the base 2 that is exact at the powers and straight between them: it needs no library's `log`."""
    mantissa, exponent = np.frexp(values)
    return exponent + 2.0 * mantissa - 2.0
