"""How new the course of the last samples is: its distance from the nearest course that was kept.

A course is six means over the last 64 samples. It is kept when nothing kept is near, so the memory holds the different courses
of a long past instead of the same one many times; "near" follows the series, such that about one in `KEPT_OF` is kept.
"""

import numpy as np

from .columns import Columns, Floats, Ints
from .means import Means

MEMORY: int = 96
POINTS: int = 6
KEPT_OF: float = 25.0
WIDEN: float = 1.1


class Shapes(Columns):
    """The courses that each series has had."""

    def __init__(self, count: int) -> None:
        """Know none yet."""
        self.kept: Floats = np.full((MEMORY, POINTS, count), np.inf)
        self.place: Ints = np.zeros(count, dtype=np.int64)
        self.near: Floats = np.zeros(count)
        self.seen: Ints = np.zeros(count, dtype=np.int64)

    def distance(self, means: Means, step: Floats) -> Floats:
        """Return the distance of the newest course from what was kept (0 if nothing is), and keep it if it is new.

        `step` is the usual step of the series, the unit in which "near" begins to grow.
        """
        course = _course(means)
        apart = np.abs(self.kept[:, 0] - course[0])
        for point in range(1, POINTS):
            apart += np.abs(self.kept[:, point] - course[point])
        nearest = apart.min(axis=0)
        self._keep(course, nearest, step)
        return np.where(np.isfinite(nearest), nearest, 0.0)

    def _keep(self, course: Floats, nearest: Floats, step: Floats) -> None:
        self.seen += 1
        full = self.seen > Means.LONGEST
        new = full & (nearest > self.near)
        which = np.flatnonzero(new)
        if len(which):
            self.kept[self.place[which], :, which] = course[:, which].T
            self.place[which] = (self.place[which] + 1) % MEMORY
        wider, narrower = self.near * WIDEN + 0.02 * step, self.near * (1.0 - (WIDEN - 1.0) / KEPT_OF)
        self.near[:] = np.where(full, np.where(new, wider, narrower), self.near)


def _course(means: Means) -> Floats:
    fours, sixteens = means.fours, means.sixteens
    backs = (fours.back(0), fours.back(4), fours.back(8), fours.back(16), sixteens.back(32), sixteens.back(48))
    return np.stack(backs)
