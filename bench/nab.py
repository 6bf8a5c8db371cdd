"""The score of the Numenta Anomaly Benchmark, standard profile, on alerts at one fixed threshold.

After Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms" (2015), and `nab/sweeper.py` of
github.com/numenta/NAB as its release 1.1 scores: a window counts once, by its earliest alert, the more the earlier (a scaled
sigmoid of the place in it, 1 at its first row); an alert outside costs 0.11, less just behind a window; a missed window
costs 1; the first 15 % of the rows (at most of 5,000) are not scored. 0 is who never alerts, 100 who alerts at the
first row of each window and nowhere else.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

FALSE_ALARM_COST = 0.11
MISS_COST = 1.0
PROBATION = 0.15
PROBATION_ROWS_MAX = 5_000
FAR = 3.0
"""So many widths behind a window (or before the first) an alert costs in full."""

Span = tuple[int, int]
"""First and last row of a window."""


class Result(NamedTuple):
    """`raw` points of `windows` windows (`found` of them with an alert), and the alerts outside all windows."""

    raw: float
    windows: int
    found: int
    false_alarms: int

    def __add__(self, other: object) -> "Result":
        assert isinstance(other, Result)
        return Result(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    @property
    def score(self) -> float:
        """0 for who never alerts, 100 for the perfect one; negative for who alarms too much."""
        return 100.0 * (self.raw + MISS_COST * self.windows) / (2.0 * self.windows) if self.windows else math.nan


NOTHING = Result(0.0, 0, 0, 0)


def probation_rows(rows: int) -> int:
    return int(min(math.floor(PROBATION * rows), PROBATION * PROBATION_ROWS_MAX))


def weight(position: float) -> float:
    """1 far ahead, 0 at a window's last row (position 0), -1 far behind it."""
    return -1.0 if position >= FAR else 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


def score_series(alerts: Sequence[bool], windows: Sequence[Span]) -> Result:
    """Score one series: whether each row alerts, and the spans of its anomalies in order."""
    skipped = probation_rows(len(alerts))
    counted = [span for span in windows if span[1] >= skipped]
    rows = [row for row, alert in enumerate(alerts) if alert and row >= skipped]
    inside = {span: [row for row in rows if span[0] <= row <= span[1]] for span in counted}
    outside = [row for row in rows if not any(first <= row <= last for first, last in windows)]
    raw = sum(_hit(span, found[0]) if found else -MISS_COST for span, found in inside.items())
    raw += FALSE_ALARM_COST * sum(_false_alarm(row, windows) for row in outside)
    return Result(raw, len(counted), sum(bool(found) for found in inside.values()), len(outside))


def _hit(span: Span, row: int) -> float:
    first, last = span
    return weight(-(last - row + 1) / (last - first + 1)) / weight(-1.0)


def _false_alarm(row: int, windows: Sequence[Span]) -> float:
    before = [span for span in windows if span[1] < row]
    if not before:
        return weight(FAR)
    first, last = before[-1]
    return weight((row - last) / max(last - first, 1))


def spans(times: Sequence[str], windows: Sequence[Sequence[str]]) -> list[Span]:
    """Find the rows of windows that are given by their first and last timestamp, as in `anomaly_windows.json`."""
    stamps = [_plain(stamp) for stamp in times]
    found = []
    for start, end in windows:
        inside = [row for row, stamp in enumerate(stamps) if _plain(start) <= stamp <= _plain(end)]
        if inside:
            found.append((inside[0], inside[-1]))
    return found


def read_windows(path: Path) -> Mapping[str, list[list[str]]]:
    """Read `anomaly_windows.json`: file, relative to the folder of all -> list of [first, last timestamp]."""
    windows: dict[str, list[list[str]]] = json.loads(path.read_text(encoding="utf-8"))
    return windows


def _plain(stamp: str) -> str:
    """Drop a zero fraction: the windows have one, the rows have none."""
    return stamp.replace("T", " ").removesuffix(".000000")
