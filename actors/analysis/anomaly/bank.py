"""Many series, a sample at a time: the one step by which scores are made, live and in retrospect."""

from typing import Final

import numpy as np

from .clock import LARGEST, Clock
from .columns import Bools, Columns, Floats, Ints, Which
from .features import NAMES, Features
from .usual import Usual

ALL: Final = slice(None)
MARGIN: float = 0.3
HOLD: int = 50
THRESHOLD: float = 0.5


class Alarm(Columns):
    """Whether an anomaly lasts in each series."""

    def __init__(self, count: int) -> None:
        """Nothing lasts."""
        self.left: Ints = np.zeros(count, dtype=np.int64)

    def onset(self, scores: Floats) -> tuple[Bools, Bools]:
        """Return where an anomaly begins with these scores, and where one lasts."""
        begins = (scores >= THRESHOLD) & (self.left == 0)
        self.left[:] = np.where(begins, HOLD, np.maximum(self.left - 1, 0))
        return begins, self.left > 0


class Bank(Columns):
    """The detectors of `count` series."""

    def __init__(self, count: int) -> None:
        """Know nothing yet."""
        self.clock = Clock(count)
        self.features = Features(count)
        self.usual = Usual(len(NAMES), count)
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
        if admitted.any():
            scores[admitted], onsets[admitted], _ = self.learn(at_us[admitted], values[admitted], numbers[admitted])
        return scores, onsets, self.alarm.left[numbers] > 0

    def learn(self, at_us: Ints, values: Floats, which: Which = ALL) -> tuple[Floats, Bools, Bools]:
        """Do the step for samples that count."""
        part = self if which is ALL else self.part(which)
        verdicts = part.judge(at_us, np.clip(values, -LARGEST, LARGEST))
        if not isinstance(which, slice):
            self.put(which, part)
        return verdicts

    def judge(self, at_us: Ints, values: Floats) -> tuple[Floats, Bools, Bools]:
        """Look at a sample of every series here, then learn it."""
        features, least = self.features.push(at_us, values)
        excess = self.usual.excess(features, least).max(axis=0)
        self.usual.learn(features)
        scores = excess / (excess + MARGIN)
        onsets, states = self.alarm.onset(scores)
        return scores, onsets, states
