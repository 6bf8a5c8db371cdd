"""What was usual: the range of each feature over the past, as the extremes of its blocks of samples tell.

Of the highest values of up to `BLOCKS` past blocks all but the few highest are usual, and so for the lowest: `RARE`, and one more
for each `RARE_OF` blocks. If a feature has no memory, the next block goes beyond that with a chance of a few percent,
whatever its distribution: a rank in its own past needs no threshold in the feature's own unit (the idea of conformal
prediction), and one burst, or two, do not hide the next.

A block is `BLOCK` samples at first. When there are `BLOCKS` of them and they do not reach back `MEMORY_US` yet, each two become
one, and blocks are twice as long from then on; after that the oldest is forgotten. So a series that speaks every five
seconds remembers as many days as one that speaks every five minutes, in the same space.
"""

from typing import Final

import numpy as np

from .columns import Bools, Columns, Floats, Ints

BLOCK: Final = 32
BLOCKS: Final = 256
BLOCKS_MIN: Final = 6
RARE: Final = 3
RARE_OF: Final = 100
MEMORY_US: Final = 14 * 86_400_000_000
RANKS: Final = np.arange(RARE - 1, RARE + BLOCKS // RARE_OF)


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
        self.blocks: Ints = np.zeros(count, dtype=np.int64)
        self.place: Ints = np.zeros(count, dtype=np.int64)
        self.length: Ints = np.full(count, BLOCK, dtype=np.int64)
        self.samples: Ints = np.zeros(count, dtype=np.int64)
        self.first_us: Ints = np.zeros(count, dtype=np.int64)

    @property
    def known(self) -> Bools:
        """Tell of which series enough has been seen."""
        return self.blocks >= BLOCKS_MIN

    @property
    def width(self) -> Floats:
        """The width of each feature's usual range; infinite as long as it is not known."""
        return self.high - self.low

    def beyond(self, features: Floats) -> Floats:
        """Return how far each feature is out of its usual range; 0 within it, and as long as it is not known."""
        return np.maximum(np.maximum(features - self.high, self.low - features), 0.0)

    def learn(self, at_us: Ints, features: Floats) -> None:
        """Take in the features of one more sample."""
        self.first_us[:] = np.where(self.blocks + self.samples == 0, at_us, self.first_us)
        np.maximum(self.highest, features, out=self.highest)
        np.minimum(self.lowest, features, out=self.lowest)
        self.samples += 1
        ended = self.samples >= self.length
        if ended.any():
            self._close(np.flatnonzero(ended), at_us)

    def _close(self, which: Ints, at_us: Ints) -> None:
        """End the block of some series and look again at what is usual."""
        self.highs[:, self.place[which], which] = self.highest[:, which]
        self.lows[:, self.place[which], which] = self.lowest[:, which]
        self.highest[:, which], self.lowest[:, which] = -np.inf, np.inf
        self.samples[which] = 0
        self.blocks[which] = np.minimum(self.blocks[which] + 1, BLOCKS)
        self.place[which] = (self.place[which] + 1) % BLOCKS
        self._look(which)
        full = which[(self.place[which] == 0) & (at_us[which] - self.first_us[which] < MEMORY_US)]
        if len(full):
            self._merge(full)

    def _look(self, which: Ints) -> None:
        """Find the ends of the usual range anew, as ranks among the blocks' extremes."""
        rare = RARE + self.blocks[which] // RARE_OF
        every = np.arange(len(which))
        highs, lows = self.highs[..., which], self.lows[..., which]
        self.high[:, which] = np.partition(highs, BLOCKS - 1 - RANKS, axis=1)[:, BLOCKS - rare, every]
        self.low[:, which] = np.partition(lows, RANKS, axis=1)[:, rare - 1, every]

    def _merge(self, which: Ints) -> None:
        """Make each two blocks of some series one, to have room for as many again that are twice as long."""
        half = BLOCKS // 2
        highs, lows = self.highs[..., which], self.lows[..., which]
        highs[:, :half] = np.maximum(highs[:, 0::2], highs[:, 1::2])
        lows[:, :half] = np.minimum(lows[:, 0::2], lows[:, 1::2])
        highs[:, half:], lows[:, half:] = -np.inf, np.inf
        self.highs[..., which], self.lows[..., which] = highs, lows
        self.blocks[which], self.place[which] = half, half
        self.length[which] *= 2
