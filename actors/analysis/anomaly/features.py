"""What is looked at in a series: its level, its course at the same hour, and how much it varies."""

from typing import Final

import numpy as np

from .columns import Bools, Columns, Floats, Ints
from .means import Means
from .seasonal import HOUR_US, LastDay, SameHour
from .shapes import Shapes

LEVEL: Final = ("x", "m4", "m16", "m64", "dx", "d16", "d64", "nn")
SEASONAL: Final = ("seas", "seas16", "daymax", "daymin", "daymean")
VARIANCE: Final = ("lv16", "lv64")
NAMES: Final = LEVEL + SEASONAL + VARIANCE
MEMORY: Final = 300
"""Samples after which what is usual of steps and level is half forgotten, about."""
CLIP: Final = 4.0
SETTLED: Final = 20
LEVEL_SHARE: Final = 0.001
NO_HOUR: Final = np.iinfo(np.int64).min


class Features(Columns):
    """The state of all features of each series."""

    def __init__(self, count: int) -> None:
        """Know nothing yet."""
        self.values = Means(count)
        self.steps = Means(count)
        self.same_hour = SameHour(count)
        self.same_hour_smooth = SameHour(count)
        self.last_day = LastDay(count)
        self.shapes = Shapes(count)
        self.seen: Ints = np.zeros(count, dtype=np.int64)
        self.hour: Ints = np.full(count, NO_HOUR, dtype=np.int64)
        self.before: Floats = np.zeros(count)
        self.step: Floats = np.zeros(count)
        self.level: Floats = np.zeros(count)

    def push(self, at_us: Ints, x: Floats) -> tuple[Floats, Floats]:
        """Take in a sample each; return the features, a row each as in NAMES, and the least width of each."""
        fresh = self.seen == 0
        if fresh.any():
            self._begin(fresh, x)
        hours = at_us // HOUR_US
        self._turn_hours(hours)
        step = np.abs(x - self.before)
        self._follow(x, step)
        values, steps = self.values, self.steps
        m4_before, m16_before = values.fours.back(0), values.sixteens.back(63)
        m64 = values.push(x)
        steps64 = steps.push(step)
        m4, m16, s16 = values.fours.back(0), values.sixteens.back(0), steps.sixteens.back(0)
        tiny = LEVEL_SHARE * np.abs(self.level) + 1e-12
        least_step = 0.1 * self.step + tiny
        rows = {
            "x": x,
            "m4": m4,
            "m16": m16,
            "m64": m64,
            "dx": x - m4_before,
            "d16": m4 - values.sixteens.back(4),
            "d64": m16 - m16_before,
            "nn": self.shapes.distance(values, self.step),
            "seas": self.same_hour.distance(hours, m4),
            "seas16": self.same_hour_smooth.distance(hours, m16),
            "daymax": self.last_day.day[0],
            "daymin": self.last_day.day[1],
            "daymean": self.last_day.day[2],
            "lv16": _log2(s16 + least_step),
            "lv64": _log2(steps64 + least_step),
        }
        self.same_hour.learn(m4)
        self.same_hour_smooth.learn(m16)
        self.last_day.learn(x)
        self.before[:] = x
        least = {name: np.ones_like(x) if name in VARIANCE else 2 * tiny for name in NAMES}
        return np.stack([rows[name] for name in NAMES]), np.stack([least[name] for name in NAMES])

    def _begin(self, fresh: Bools, x: Floats) -> None:
        self.values.fill(fresh, x)
        self.before[:] = np.where(fresh, x, self.before)
        self.level[:] = np.where(fresh, x, self.level)

    def _turn_hours(self, hours: Ints) -> None:
        turned = (hours != self.hour) & (self.hour != NO_HOUR)
        if turned.any():
            which = np.flatnonzero(turned)
            for one in (self.same_hour, self.same_hour_smooth, self.last_day):
                one.close(which, self.hour[which])
        self.hour[:] = hours

    def _follow(self, x: Floats, step: Floats) -> None:
        self.seen += 1
        weight = 1.0 / np.minimum(self.seen, MEMORY)
        clipped = np.where(self.seen <= SETTLED, step, np.minimum(step, CLIP * self.step + 1e-12))
        self.step += weight * (clipped - self.step)
        self.level += weight * (x - self.level)


def _log2(values: Floats) -> Floats:
    """Return a logarithm to the base 2 that is exact at the powers and straight between them: it needs no library's `log`."""
    mantissa, exponent = np.frexp(values)
    return exponent + 2.0 * mantissa - 2.0
