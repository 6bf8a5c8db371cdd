"""What was usual: the range of each feature over the past, as the extremes of its blocks of samples tell.

A block is `BLOCK` samples; of the last `BLOCKS` blocks' highest values all but the `RARE` highest are usual, and so for the
lowest. If a feature has no memory, the next block goes beyond that with the chance RARE / (BLOCKS + 1), whatever its
distribution: a rank among its own past needs no threshold in the feature's own unit.
"""

import numpy as np

from .columns import Columns, Floats, Ints

BLOCK: int = 32
BLOCKS: int = 64
BLOCKS_MIN: int = 3
RARE: int = 2


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

    def excess(self, features: Floats, least: Floats) -> Floats:
        """Return how far each feature is out of its usual range, in widths of that range (`least` at least); 0 within."""
        beyond = np.maximum(features - self.high, self.low - features)
        width = np.maximum(self.high - self.low, least)
        known = self.seen >= BLOCK * BLOCKS_MIN
        return np.where(known & (beyond > 0), beyond / np.where(known, width, 1.0), 0.0)

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
        if len(which) == self.seen.size:
            highs, lows = self.highs, self.lows
        else:
            highs, lows = self.highs[..., which], self.lows[..., which]
        self.high[:, which] = np.partition(highs, BLOCKS - RARE, axis=1)[:, BLOCKS - RARE]
        self.low[:, which] = np.partition(lows, RARE - 1, axis=1)[:, RARE - 1]
