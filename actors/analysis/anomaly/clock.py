"""Which samples count: what was measured, in order of time.

* missing, NaN, infinite: not measured. Scores 0, teaches nothing, and a state that lasts goes on lasting.
* duplicate (the timestamp of the newest sample): the first one counts, another scores 0 and teaches nothing.
* late (before the newest sample): the same; but after `LATE_MAX` late ones in a row the clock was set back, and time goes on
  from there.
* a gap is no anomaly: nothing is known of it. What is compared with the same hour goes by the timestamps, all else by samples.
"""

import numpy as np

from .columns import Bools, Columns, Floats, Ints

LATE_MAX: int = 30
LARGEST: float = 1e100
"""What is larger counts as this large: its square must still be a number."""
NEVER: int = np.iinfo(np.int64).min


class Clock(Columns):
    """The newest instant of each series."""

    def __init__(self, count: int) -> None:
        """Nothing has been measured yet."""
        self.newest_us: Ints = np.full(count, NEVER, dtype=np.int64)
        self.late: Ints = np.zeros(count, dtype=np.int64)

    def admit(self, at_us: Ints, values: Floats) -> Bools:
        """Tell which samples count."""
        measured = np.isfinite(values)
        late = measured & (at_us < self.newest_us)
        self.late[:] = np.where(late, self.late + 1, np.where(measured, 0, self.late))
        admitted = measured & ((at_us > self.newest_us) | (self.late > LATE_MAX))
        self.newest_us[:] = np.where(admitted, at_us, self.newest_us)
        self.late[:] = np.where(admitted, 0, self.late)
        return admitted
