"""Means over the last 4, 16 and 64 samples of a series, each made of four of the next smaller."""

from .columns import Bools, Columns, Floats, Ring


class Means(Columns):
    """Three lengths of view on one series of numbers."""

    def __init__(self, count: int) -> None:
        """Make them for `count` series."""
        self.ones = Ring(4, count)
        self.fours = Ring(13, count)
        self.sixteens = Ring(49, count)

    def fill(self, fresh: Bools, values: Floats) -> None:
        """Let the past of the series in `fresh` be as if it had always been so."""
        for ring in (self.ones, self.fours, self.sixteens):
            ring.fill(fresh, values)

    def push(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        """Add one value each and return the means over the last 4, 16 and 64 of them."""
        self.ones.push(values)
        four = self.ones.mean_of_four(1)
        self.fours.push(four)
        sixteen = self.fours.mean_of_four(4)
        self.sixteens.push(sixteen)
        return four, sixteen, self.sixteens.mean_of_four(16)
