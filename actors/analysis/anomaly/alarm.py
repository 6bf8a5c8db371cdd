"""From how far a sample is out of what was usual to a score, an onset and a state."""

import numpy as np

from .columns import Bools, Columns, Floats, Ints

THRESHOLD: float = 0.5
MARGIN: float = 0.125
"""So many widths out of the usual range a sample is an anomaly: its score is half."""
HOLD: int = 30
"""So many samples an anomaly lasts at least; what is still, or again, one then alarms again."""
ECHO: int = 70
"""So many samples after an alarm the longest means are not listened to: they still hold what alarmed."""
WEARY: float = 0.5
"""Each alarm raises the margin by this share of it ..."""
RECOVERED: float = 1.0 - 1.0 / 2_885.0
"""... and half of that is gone after 2,000 samples: who alarms often must have more to tell."""


class Alarm(Columns):
    """Whether an anomaly lasts in each series, and how weary its listeners are."""

    def __init__(self, count: int) -> None:
        """Nothing lasts."""
        self.since: Ints = np.full(count, ECHO, dtype=np.int64)
        self.lasts: Bools = np.zeros(count, dtype=np.bool_)
        self.weary: Floats = np.zeros(count)

    def judge(self, excess: Floats, long_excess: Floats) -> tuple[Floats, Bools, Bools]:
        """Return scores, where an anomaly begins, and where one lasts.

        They go by how far the samples are out of what was usual, in widths: by all but the longest means, and by these.
        """
        furthest = np.maximum(excess, np.where(self.since >= ECHO, long_excess, 0.0))
        scores = furthest / (furthest + MARGIN * (1.0 + self.weary))
        unusual = scores >= THRESHOLD
        onsets = unusual & (self.since >= HOLD)
        self.since[:] = np.where(onsets, 0, self.since + 1)
        self.weary[:] = (self.weary + WEARY * onsets) * RECOVERED
        self.lasts[:] = unusual | (self.since < HOLD)
        return scores, onsets, self.lasts.copy()
