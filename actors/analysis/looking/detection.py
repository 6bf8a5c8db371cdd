"""The detectors of every series that was ever seen here, fed in the log's order: live and in retrospect the same step."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..anomaly import Bank

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Verdicts(NamedTuple):
    """Of each row: its score, whether an anomaly begins, whether one lasts; `known` is false for a series too many."""

    scores: Floats
    onsets: Bools
    states: Bools
    known: Bools


class Detection:
    """Detectors by the names of their series; at most `series_max` of them."""

    def __init__(self, series_max: int) -> None:
        self.series_max = series_max
        self._places: dict[str, int] = {}
        self._left_out: set[str] = set()
        self._bank: Bank | None = None
        self._lasting: Bools = np.zeros(0, dtype=np.bool_)

    @property
    def names(self) -> list[str]:
        """The series, in the order in which they came."""
        return list(self._places)

    @property
    def left_out(self) -> int:
        """How many series are too many."""
        return len(self._left_out)

    @property
    def lasting(self) -> list[str]:
        """The series in which an anomaly lasts."""
        return [name for name, lasts in zip(self._places, self._lasting.tolist(), strict=True) if lasts]

    def take(self, names: list[str], codes: Ints, at_us: Ints, values: Floats) -> Verdicts:
        """Judge rows, each from what came before it alone; rows of one series are in order."""
        places = self._places_of(names)[codes]
        count = len(codes)
        found = Verdicts(np.zeros(count), np.zeros(count, np.bool_), np.zeros(count, np.bool_), places >= 0)
        rows = np.flatnonzero(found.known)
        for step in _steps(places[rows]):
            self._step(rows[step], places, at_us, values, found)
        return found

    def _step(self, rows: Ints, places: Ints, at_us: Ints, values: Floats, found: Verdicts) -> None:
        assert self._bank is not None  # noqa: S101 - a row has a place
        which = places[rows]
        begins, ends = int(which[0]), int(which[-1]) + 1
        beside = slice(begins, ends) if ends - begins == len(which) else which
        scores, onsets, states = self._bank.step(at_us[rows], values[rows], beside)
        found.scores[rows], found.onsets[rows], found.states[rows] = scores, onsets, states
        self._lasting[which] = states

    def _places_of(self, names: list[str]) -> Ints:
        new = [name for name in names if name not in self._places]
        room = self.series_max - len(self._places)
        self._left_out.update(new[room:])
        for name in new[:room]:
            self._places[name] = len(self._places)
        self._grow(len(self._places) - len(self._lasting))
        return np.array([self._places.get(name, -1) for name in names], dtype=np.int64)

    def _grow(self, count: int) -> None:
        if not count:
            return
        more = Bank(count)
        if self._bank is None:
            self._bank = more
        else:
            self._bank.grow(more)
        self._lasting = np.concatenate((self._lasting, np.zeros(count, dtype=np.bool_)))


def _steps(places: Ints) -> list[Ints]:
    """Return the rows of each step, by place: the first row of every series, then the second ones, and so on."""
    if not len(places):
        return []
    by_place = np.argsort(places, kind="stable")
    sorted_places = places[by_place]
    begins = np.flatnonzero(np.diff(sorted_places, prepend=-1))
    ranks = np.arange(len(places)) - np.repeat(begins, np.diff(begins, append=len(places)))
    by_rank = np.argsort(ranks, kind="stable")
    cuts = np.searchsorted(ranks[by_rank], np.arange(1, int(ranks.max()) + 1))
    return np.split(by_place[by_rank], cuts)
