"""State of many series side by side: arrays whose last axis is the series.

Everything here is computed element by element, with `+ - * /`, comparisons, minima, maxima and order statistics only: IEEE 754
rounds these the same everywhere, so a series gets the same bits alone, among a thousand others, and on another machine. There
is no sum along an axis (its order varies with the shape) and no `exp` or `log` (their last bits vary with the library).
"""

from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Which: TypeAlias = slice | Ints
"""The series of a step: a slice of them (whose state is a view), or their numbers."""


class Columns:
    """A holder of arrays; each ends in the axis of the series. What is computed is written in place."""

    def part(self, which: Which) -> Self:
        """Return the same for some series: a view for a slice, else a copy that `put` brings back."""
        part = object.__new__(type(self))
        for name, value in vars(self).items():
            setattr(part, name, _part(value, which))
        return part

    def put(self, which: Which, part: Self) -> None:
        """Take over the state of some series from a copy."""
        for name, value in vars(self).items():
            theirs = getattr(part, name)
            if isinstance(value, np.ndarray):
                value[..., which] = theirs
            elif isinstance(value, Columns):
                value.put(which, theirs)

    def grow(self, other: Self) -> None:
        """Append the series of `other` behind the own ones."""
        for name, value in vars(self).items():
            theirs = getattr(other, name)
            if isinstance(value, np.ndarray):
                setattr(self, name, np.concatenate((value, theirs), axis=-1))
            elif isinstance(value, Columns):
                value.grow(theirs)


def _part(value: object, which: Which) -> object:
    if isinstance(value, np.ndarray):
        return value[..., which]
    return value.part(which) if isinstance(value, Columns) else value


class Ring(Columns):
    """The last `length` values of each series."""

    def __init__(self, length: int, count: int) -> None:
        """Make one for `count` series."""
        self.values: Floats = np.zeros((length, count))
        self.newest: Ints = np.zeros(count, dtype=np.int64)

    def fill(self, fresh: Bools, values: Floats) -> None:
        """Let the past of the series in `fresh` be as if it had always been so."""
        self.values[:] = np.where(fresh, values, self.values)

    def push(self, values: Floats) -> None:
        """Add one value to each."""
        self.newest[:] = (self.newest + 1) % len(self.values)
        self.values[self.newest, np.arange(len(values))] = values

    def back(self, steps: int) -> Floats:
        """Return the values that were added so many steps before the newest."""
        return self.values[(self.newest - steps) % len(self.values), np.arange(len(self.newest))]

    def mean_of_four(self, apart: int) -> Floats:
        """Return the mean of the newest value and of three before it, each so many steps from the next."""
        return (self.back(0) + self.back(apart) + self.back(2 * apart) + self.back(3 * apart)) * 0.25
