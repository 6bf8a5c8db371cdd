"""Many series, a sample at a time: the one step by which scores are made, live and in retrospect."""

from typing import Final

import numpy as np

from .alarm import Alarm
from .clock import LARGEST, Clock
from .columns import Bools, Columns, Floats, Ints, Which
from .features import COUNT, LEVEL, LONG, MEAN_OF_FOUR, SEASONAL, SHORT, VALUE, VARIANCE, Features
from .usual import Usual

ALL: Final = slice(None)
RANGE_SHARE: Final = 0.2
"""The usual range of a mean is taken to be this share of the values' own at least."""
SEASONAL_SHARE: Final = 0.4
"""A series strays from its seasons by this share of its whole range at least, before that is many widths."""
OCTAVE: Final = 1.0
"""A series that always varies alike must vary by a share of twice as much, or half, to be out of the usual."""


class Bank(Columns):
    """The detectors of `count` series."""

    def __init__(self, count: int) -> None:
        """Know nothing yet."""
        self.clock = Clock(count)
        self.features = Features(count)
        self.usual = Usual(COUNT, count)
        self.alarm = Alarm(count)

    def step(self, at_us: Ints, values: Floats, which: Which = ALL) -> tuple[Floats, Bools, Bools]:
        """Take a sample of each of the series (micros UTC, value); return their scores, onsets and states.

        What does not count (see `clock`) scores 0 and leaves everything as it was.
        """
        numbers = np.arange(self.clock.late.size)[which]
        clock = self.clock.part(which)
        admitted = clock.admit(at_us, values)
        self.clock.put(which, clock)
        if admitted.all():
            return self.learn(at_us, values, which)
        scores, onsets = np.zeros(len(values)), np.zeros(len(values), dtype=np.bool_)
        states = self.alarm.lasts[numbers]
        if admitted.any():
            learned = self.learn(at_us[admitted], values[admitted], numbers[admitted])
            scores[admitted], onsets[admitted], states[admitted] = learned
        return scores, onsets, states

    def learn(self, at_us: Ints, values: Floats, which: Which = ALL) -> tuple[Floats, Bools, Bools]:
        """Do the step for samples that count."""
        part = self.part(which)
        verdicts = part.judge(at_us, np.clip(values, -LARGEST, LARGEST))
        if not isinstance(which, slice):
            self.put(which, part)
        return verdicts

    def judge(self, at_us: Ints, values: Floats) -> tuple[Floats, Bools, Bools]:
        """Look at a sample of every series here, then learn it."""
        rows = self.features.push(at_us, values)
        excess = np.where(self.usual.known, self._excess(rows), 0.0)
        self.usual.learn(at_us, rows)
        return self.alarm.judge(excess[SHORT].max(axis=0), excess[LONG].max(axis=0))

    def _excess(self, rows: Floats) -> Floats:
        """Return how far each feature is out of what was usual, in widths."""
        excess, width = self.usual.beyond(rows), self.usual.width
        least = 2.0 * self.features.least
        excess[LEVEL] /= np.maximum(width[LEVEL], np.maximum(RANGE_SHARE * width[VALUE], least))
        range_least = np.maximum(SEASONAL_SHARE * width[MEAN_OF_FOUR], least)
        excess[SEASONAL] /= np.maximum(self.usual.high[SEASONAL], range_least)
        excess[VARIANCE] /= np.maximum(width[VARIANCE], OCTAVE)
        return excess
