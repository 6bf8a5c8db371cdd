"""What a series did at this hour on each of the last days, and how far it is from the nearest of them.

Seven days hold one of each weekday, so a Sunday is like a Sunday without being told of weeks. The hours are of UTC; which hour is
which does not matter, and a change to summer time is within the neighbouring hours that count as the same time.
"""

import numpy as np

from .columns import Columns, Floats, Ints

HOUR_US: int = 3_600_000_000
HOURS: int = 24
DAYS: int = 7
DAYS_MIN: int = 2
NEAR: tuple[int, ...] = (-1, 0, 1)


class SameHour(Columns):
    """The range of one number in each hour of the last seven days."""

    def __init__(self, count: int) -> None:
        """Know no day yet."""
        self.lows: Floats = np.full((HOURS, DAYS, count), np.inf)
        self.highs: Floats = np.full((HOURS, DAYS, count), -np.inf)
        self.low: Floats = np.full(count, np.inf)
        self.high: Floats = np.full(count, -np.inf)

    def distance(self, hours: Ints, values: Floats) -> Floats:
        """Return how far the values are from the nearest range of the same time of day; 0 within one, or without any."""
        every = np.arange(len(values))
        nearest = np.full(len(values), np.inf)
        for offset in NEAR:
            hour = (hours + offset) % HOURS
            above = values[:, None] - self.highs[hour, :, every]
            beyond = np.maximum(above, self.lows[hour, :, every] - values[:, None])
            if offset < 0:
                # That hour of today would call usual what began in it.
                beyond[every, (hours + offset) // HOURS % DAYS] = np.inf
            nearest = np.minimum(nearest, beyond.min(axis=1))
        # An hour that was seen on one day only says nothing of what is usual in it: the second highest is then infinite.
        known = np.partition(self.highs[hours % HOURS, :, every], DAYS - DAYS_MIN, axis=1)[:, DAYS - DAYS_MIN]
        return np.where(np.isfinite(known), np.maximum(nearest, 0.0), 0.0)

    def learn(self, values: Floats) -> None:
        """Take in one more value of the hour that runs."""
        np.minimum(self.low, values, out=self.low)
        np.maximum(self.high, values, out=self.high)

    def close(self, which: Ints, hours: Ints) -> None:
        """End the hours (since 1970) that ran in some series."""
        place = (hours % HOURS, hours // HOURS % DAYS, which)
        self.lows[place], self.highs[place] = self.low[which], self.high[which]
        self.low[which], self.high[which] = np.inf, -np.inf
