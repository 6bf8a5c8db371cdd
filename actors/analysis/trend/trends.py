"""Trends of many series in DuckDB: Theil-Sen's slope of bucket medians, and whether Mann and Kendall call it one.

The significance is corrected for autocorrelation after Hamed and Rao (1998): ranks that echo each other count for fewer. Only
echoes that make a trend less sure are taken, over 20 buckets at most. A closed bucket keeps its median and forgets its
samples, so the next points of a series cost little. Samples of a closed bucket come too late and are left out; of two samples
at the same instant both count in their bucket's median; what is not finite was not measured.
"""

import math
from types import TracebackType
from typing import Final, Literal, NamedTuple, Self

import duckdb

from . import queries
from .samples import Samples

SIGNIFICANT: Final = 0.01
BUCKETS_MIN: Final = 8
"""Fewer buckets say nothing of a trend."""
HOURS: Final = {"day": 24, "week": 168}


class Trend(NamedTuple):
    """A series over its last `buckets` buckets: `slope` per second, `change` over the whole time, `level` its median.

    `direction` is `up` or `down` where `p` is significant, else `none`; `z` is Mann-Kendall's, corrected by `correction` (1: no
    autocorrelation; 4: as if there were a quarter of the buckets).
    """

    series: str
    direction: Literal["up", "down", "none"]
    slope: float
    change: float
    level: float
    z: float
    p: float
    correction: float
    buckets: int


class Season(NamedTuple):
    """How much of what a series moves is its usual course of the `period`: 1 all of it, 0 nothing; of `seen` cycles at least."""

    series: str
    period: str
    strength: float
    seen: int


class Trends:
    """Samples in, trends out. Not for several threads."""

    def __init__(self, width_us: int, buckets: int = 100) -> None:
        """Cut time into buckets of `width_us` micros, and look at the last so many `buckets` of each series."""
        self.width_us = width_us
        self.buckets = buckets
        self._db = duckdb.connect(":memory:")
        self._db.execute(queries.TABLES)

    def __enter__(self) -> Self:
        """Return itself; `close` follows."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget everything."""
        self.close()

    def close(self) -> None:
        """Forget everything."""
        self._db.close()

    def add(self, samples: Samples) -> None:
        """Take in further samples, in any order within the open buckets."""
        width = {"width_us": self.width_us}
        self._db.register("arrived", samples.table())
        self._db.execute(queries.FRESH, width)
        self._db.unregister("arrived")
        self._db.execute(queries.CLOSE, width)
        self._db.execute(queries.FORGET, width)

    def forget_before(self, at_us: int) -> None:
        """Forget the closed buckets that end before an instant: memory is then bounded by the time that is kept."""
        self._db.execute(queries.FORGET_BEFORE, {"bucket": at_us // self.width_us})

    def points(self, series: str) -> list[tuple[int, float]]:
        """Return a series' bucket medians: start in micros UTC, median."""
        self._db.execute(f"create or replace temp view window_of_buckets as {self._window()}")
        rows = self._db.execute(queries.POINTS, {"series": series}).fetchall()
        return [(bucket * self.width_us, middle) for bucket, middle in rows]

    def all_points(self) -> dict[str, list[tuple[int, float]]]:
        """Return every series' bucket medians, as `points` does."""
        self._db.execute(f"create or replace temp view window_of_buckets as {self._window()}")
        found: dict[str, list[tuple[int, float]]] = {}
        for series, bucket, middle in self._db.execute(queries.ALL_POINTS).fetchall():
            found.setdefault(series, []).append((bucket * self.width_us, middle))
        return found

    def trends(self) -> list[Trend]:
        """Return the trend of every series that has buckets enough, by name."""
        self._db.execute(f"create or replace temp view window_of_buckets as {self._window()}")
        return [self._trend(*row) for row in self._db.execute(queries.TREND).fetchall() if row[1] >= BUCKETS_MIN]

    def seasons(self) -> list[Season]:
        """Return how daily and how weekly each series is, where two cycles have been seen; hours are UTC's."""
        found = []
        for period, hours in HOURS.items():
            rows = self._db.execute(queries.SEASON, {"width_us": self.width_us, "hours": hours}).fetchall()
            found += [Season(series, period, strength, seen) for series, strength, seen in rows]
        return found

    def _window(self) -> str:
        return queries.WINDOW.replace("$width_us", str(self.width_us)).replace("$buckets", str(self.buckets))

    def _trend(
        self,
        series: str,
        n: int,
        level: float,
        first: int,
        last: int,
        slope: float,
        s: float,
        variance: float,
        correction: float,
    ) -> Trend:
        spread = math.sqrt(variance * correction)
        z = (s - math.copysign(1, s)) / spread if s and spread else 0.0
        p = math.erfc(abs(z) / math.sqrt(2))
        direction: Literal["up", "down", "none"] = "none" if p >= SIGNIFICANT else "up" if z > 0 else "down"
        per_second = slope * 1_000_000 / self.width_us
        return Trend(series, direction, per_second, slope * (last - first), level, z, p, correction, n)
