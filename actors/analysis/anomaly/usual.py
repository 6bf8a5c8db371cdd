"""What was usual: the range of each feature over the past, as the extremes of its blocks of samples tell.

A block is `BLOCK` samples. Of the highest values of the last `BLOCKS` blocks all but the few highest are usual, and so for the
lowest: `RARE`, and one more for each `RARE_OF` blocks. If a feature has no memory, the next block goes beyond that with a
chance of a few percent, whatever its distribution: a rank in its own past needs no threshold in the feature's own unit (the
idea of conformal prediction), and one burst, or two, do not hide the next.
"""

import numpy as np

from .columns import Bools, Columns, Floats, Ints

BLOCK: int = 32
BLOCKS: int = 256
BLOCKS_MIN: int = 6
RARE: int = 3
RARE_OF: int = 100


class Usual(Columns):
    """The usual range of `features` features for each series."""

    def __init__(self, features: int, count: int) -> None:
        """Know nothing yet."""
        self.highs: Floats = np.full((features, BLOCKS, count), -np.inf)
        self.lows: Floats = np.full((features, BLOCKS, count), np.inf)
        self.high: Floats = np.full((features, count), np.inf)
        self.low: Floats = np.full((features, count), -np.inf)
        self.highest: Floats = np.full((features, count), -np.inf)
        self.lowest: Floats = np.full((features, count), np.inf)
        self.seen: Ints = np.zeros(count, dtype=np.int64)

    @property
    def known(self) -> Bools:
        """Tell of which series enough has been seen."""
        return self.seen >= BLOCK * BLOCKS_MIN

    @property
    def width(self) -> Floats:
        """The width of each feature's usual range; infinite as long as it is not known."""
        return self.high - self.low

    def beyond(self, features: Floats) -> Floats:
        """Return how far each feature is out of its usual range; 0 within it, and as long as it is not known."""
        return np.maximum(np.maximum(features - self.high, self.low - features), 0.0)

    def learn(self, features: Floats) -> None:
        """Take in the features of one more sample."""
        np.maximum(self.highest, features, out=self.highest)
        np.minimum(self.lowest, features, out=self.lowest)
        self.seen += 1
        ended = self.seen % BLOCK == 0
        if ended.any():
            self._close(np.flatnonzero(ended))

    def _close(self, which: Ints) -> None:
        """End the block of some series and look again at what is usual."""
        place = (self.seen[which] // BLOCK - 1) % BLOCKS
        self.highs[:, place, which] = self.highest[:, which]
        self.lows[:, place, which] = self.lowest[:, which]
        self.highest[:, which] = -np.inf
        self.lowest[:, which] = np.inf
        self._look(which)

    def _look(self, which: Ints) -> None:
        """Find the ends of the usual range anew, as ranks among the blocks' extremes."""
        blocks = np.minimum(self.seen[which] // BLOCK, BLOCKS)
        rare = RARE + blocks // RARE_OF
        ranks = np.arange(RARE - 1, RARE + BLOCKS // RARE_OF)
        every = np.arange(len(which))
        highs, lows = self.highs[..., which], self.lows[..., which]
        self.high[:, which] = np.partition(highs, BLOCKS - 1 - ranks, axis=1)[:, BLOCKS - rare, every]
        self.low[:, which] = np.partition(lows, ranks, axis=1)[:, rare - 1, every]
