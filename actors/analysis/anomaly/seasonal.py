"""What a series did at this hour on each of the last days, and how far it is from the nearest of them.

Seven days hold one of each weekday, so a Sunday is like a Sunday without being told of weeks. The hours are of UTC; which hour is
which does not matter, and a change to summer time is within the neighbouring hours that count as the same time.
"""

import numpy as np

from .columns import Columns, Floats, Ints

HOUR_US: int = 3_600_000_000
HOURS: int = 24
DAYS: int = 7
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
            beyond = np.maximum(
                values[:, None] - self.highs[hour, :, every], self.lows[hour, :, every] - values[:, None]
            )
            nearest = np.minimum(nearest, beyond.min(axis=1))
        return np.where(np.isfinite(nearest), np.maximum(nearest, 0.0), 0.0)

    def learn(self, values: Floats) -> None:
        """Take in one more value of the hour that runs."""
        np.minimum(self.low, values, out=self.low)
        np.maximum(self.high, values, out=self.high)

    def close(self, which: Ints, hours: Ints) -> None:
        """End the hours (since 1970) that ran in some series."""
        place = (hours % HOURS, hours // HOURS % DAYS, which)
        self.lows[place], self.highs[place] = self.low[which], self.high[which]
        self.low[which], self.high[which] = np.inf, -np.inf


class LastDay(Columns):
    """The highest and the lowest value, and the mean of the hourly means, over the last 24 hours that had samples."""

    def __init__(self, count: int) -> None:
        """Know no hour yet."""
        self.highs: Floats = np.full((HOURS, count), -np.inf)
        self.lows: Floats = np.full((HOURS, count), np.inf)
        self.means: Floats = np.zeros((HOURS, count))
        self.had: Floats = np.zeros((HOURS, count))
        self.high: Floats = np.full(count, -np.inf)
        self.low: Floats = np.full(count, np.inf)
        self.total: Floats = np.zeros(count)
        self.samples: Floats = np.zeros(count)
        self.day: Floats = np.zeros((3, count))

    def learn(self, values: Floats) -> None:
        """Take in one more value of the hour that runs."""
        np.maximum(self.high, values, out=self.high)
        np.minimum(self.low, values, out=self.low)
        self.total += values
        self.samples += 1.0

    def close(self, which: Ints, hours: Ints) -> None:
        """End the hours that ran in some series; `day` is then (highest, lowest, mean) of the last 24."""
        place = (hours % HOURS, which)
        self.highs[place], self.lows[place] = self.high[which], self.low[which]
        self.means[place] = self.total[which] / np.maximum(self.samples[which], 1.0)
        self.had[place] = 1.0
        self.high[which], self.low[which], self.total[which], self.samples[which] = -np.inf, np.inf, 0.0, 0.0
        self.day[0, which] = self.highs[:, which].max(axis=0)
        self.day[1, which] = self.lows[:, which].min(axis=0)
        self.day[2, which] = _in_order(self.means[:, which]) / _in_order(self.had[:, which])


def _in_order(rows: Floats) -> Floats:
    """Add up rows one after the other: NumPy's sum takes another order for other shapes."""
    total = rows[0]
    for row in rows[1:]:
        total = total + row
    return total
