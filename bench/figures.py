"""What a measurement gives: values of several runs, and the bar that their median has to meet."""

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Bar:
    """`at least` or `under` a bound, in the figure's unit."""

    sense: str
    bound: float

    def met(self, value: float) -> bool:
        return value >= self.bound if self.sense == "at least" else value < self.bound

    def __str__(self) -> str:
        return f"{self.sense} {number(self.bound)}"


@dataclass(frozen=True)
class Figure:
    """One row of the table: the values of all runs; the median is what counts."""

    what: str
    unit: str
    values: list[float]
    bar: Bar | None = None

    @property
    def met(self) -> bool:
        return self.bar is None or self.bar.met(median(self.values))

    def __str__(self) -> str:
        middle = number(median(self.values))
        if len(self.values) == 1:
            return f"{middle} {self.unit}"
        return f"{middle} {self.unit} ({number(min(self.values))} to {number(max(self.values))})"


def at_least(bound: float) -> Bar:
    return Bar("at least", bound)


def under(bound: float) -> Bar:
    return Bar("under", bound)


def number(value: float) -> str:
    """Three figures are what a run repeats."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def percentile(values: list[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
