"""The detectors: how good on labelled series that they were not made for, and how fast on many."""

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nab
import numpy as np
import pyarrow as pa
from figures import Figure, at_least, under
from session import Measured, Session

from hms.actors.analysis.anomaly import Bank, alarm, score_series
from hms.actors.analysis.files import SeriesFile, read_series
from hms.actors.analysis.trend import Samples, Trends

TITLE = "Anomalies and trends"
LABELLED = "HMS_LABELLED_SERIES"
WINDOWS = "anomaly_windows.json"
SERIES = 1_000
POINTS = 10_000
NEXT = 10
PROCESSES = 2
STEP_US = 60_000_000
BUCKET_US = 100 * STEP_US
MARGINS = (0.08, 0.1, 0.125, 0.16, 0.2, 0.25)
WHAT = f"""
How good: the score of the Numenta Anomaly Benchmark (standard profile; its formulas in `bench/nab.py`) of the onsets of
`hms.actors.analysis.anomaly`, at the one fixed threshold, on the folders of labelled series that {LABELLED} names (a folder
with `{WINDOWS}` and the files that it names; without it this part is not measured). The shape of the detectors was found on
these folders and on made-up series, so the last row chooses the threshold on all folders but one and scores that one, for
each in turn: what a choice made on some folders is worth on another. How fast: {SERIES:,} series of {POINTS:,} points, in
{PROCESSES} processes, through trend (DuckDB, 100 buckets) and detectors, then the next {NEXT} points of each.
"""

Windows = dict[str, list[nab.Span]]
"""File -> rows of its windows."""
Results = dict[str, nab.Result]
"""Folder -> its score."""


def results(series: Sequence[SeriesFile], windows: Windows, margin: float) -> Results:
    """Score all series with a margin: at another one than the product's the fixed threshold is another threshold."""
    alarm.MARGIN = margin
    found: Results = {}
    scored = score_series([one.columns() for one in series])
    for (name, spans), one in zip(windows.items(), scored, strict=True):
        folder = name.partition("/")[0]
        found[folder] = found.get(folder, nab.NOTHING) + nab.score_series(one.onsets.tolist(), spans)
    return found


def total(found: Results, *, without: str = "") -> nab.Result:
    return sum((result for folder, result in found.items() if folder != without), nab.NOTHING)


def quality(folder: str) -> Measured:
    spans = nab.read_windows(Path(folder) / WINDOWS)
    series = [read_series(str(Path(folder) / name)) for name in spans]
    windows = {
        name: nab.spans([row.timestamp for row in one.rows], listed)
        for (name, listed), one in zip(spans.items(), series, strict=True)
    }
    fixed = results(series, windows, alarm.MARGIN)
    tried = [results(series, windows, margin) for margin in MARGINS]
    left_out = [max(tried, key=lambda one: total(one, without=name).score)[name] for name in fixed]
    return {
        "score": total(fixed).score,
        "false_alarms": total(fixed).false_alarms,
        "rows": sum(len(one.rows) for one in series),
        "left_out": sum(left_out, nab.NOTHING).score,
        "folders": {name: one.score for name, one in fixed.items() if one.windows},
    }


class Fleet:
    """The series of one process, with what is remembered of them."""

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.random = np.random.default_rng(seed)
        self.names = pa.array([f"series-{number:04}" for number in range(count)])
        self.at = 0
        self.bank = Bank(count)
        self.trends = Trends(BUCKET_US)

    def points(self, count: int) -> tuple[Any, Any]:
        at_us = (self.at + np.arange(count, dtype=np.int64)) * STEP_US
        self.at += count
        daily = 10 * np.sin(at_us / 86_400e6 * 2 * np.pi)
        return at_us, 50 + daily[:, None] + self.random.normal(0, 2, (count, self.count))

    def take(self, at_us: Any, values: Any) -> dict[str, float]:
        started = time.perf_counter()
        onsets = sum(int(onsets.sum()) for onsets in self._steps(at_us, values))
        stepped = time.perf_counter()
        places = np.tile(np.arange(self.count, dtype=np.int32), len(at_us))
        names = pa.DictionaryArray.from_arrays(places, self.names)
        self.trends.add(Samples(names, np.repeat(at_us, self.count), values.ravel()))
        trends = len(self.trends.trends())
        ended = time.perf_counter()
        assert trends in {0, self.count}
        return {"anomaly_s": stepped - started, "trend_s": ended - stepped, "onsets": onsets}

    def _steps(self, at_us: Any, values: Any) -> Iterator[Any]:
        every = np.ones(self.count, dtype=np.int64)
        for row, instant in enumerate(at_us):
            yield self.bank.step(every * instant, values[row])[1]


FLEET: list[Fleet] = []


def prepare(count: int, seed: int) -> None:
    FLEET[:] = [Fleet(count, seed)]


def take(count: int) -> dict[str, float]:
    """Generate the points before the clock starts, then take them in."""
    return FLEET[0].take(*FLEET[0].points(count))


def speed(series: int, points: int) -> Measured:
    workers = [ProcessPoolExecutor(1, get_context("spawn")) for _ in range(PROCESSES)]
    for seed, worker in enumerate(workers):
        worker.submit(prepare, series // PROCESSES, seed).result()
    answer: Measured = {}
    for name, count in (("first", points), ("next", NEXT)):
        taken = [one.result() for one in [worker.submit(take, count) for worker in workers]]
        answer[name] = max(one["anomaly_s"] + one["trend_s"] for one in taken)
        answer[f"{name}_trend"] = max(one["trend_s"] for one in taken)
    for worker in workers:
        worker.shutdown()
    return answer


def run(session: Session) -> list[Figure]:
    series, points = session.scaled(SERIES), session.scaled(POINTS)
    (fast,) = session.repeat(lambda: session.measure(speed, series=series, points=points))
    figures = [
        Figure("trend + anomaly, all points", "s", [one["first"] for one in fast], under(75)),
        Figure("of that, the trend", "s", [one["first_trend"] for one in fast]),
        Figure(f"the next {NEXT} points of each", "s", [one["next"] for one in fast], under(2)),
    ]
    return figures + _quality_figures(session)


def _quality_figures(session: Session) -> list[Figure]:
    folder = os.environ.get(LABELLED)
    if folder is None:
        print(
            f"not measured: how good the detectors are, for {LABELLED} names no folder of labelled series", flush=True
        )
        return []
    got = session.measure(quality, folder=folder)
    return [
        Figure("NAB standard score, one fixed threshold", "points", [got["score"]], at_least(55)),
        Figure(f"false alarms there, in {got['rows']:,} rows", "alarms", [got["false_alarms"]]),
        *(Figure(f"NAB standard score, {name}", "points", [score]) for name, score in got["folders"].items()),
        Figure("the same, each folder by a threshold from the others", "points", [got["left_out"]]),
    ]


def profile(session: Session) -> str:
    return session.profile(one_process, series=session.scaled(SERIES) // 4, points=session.scaled(POINTS) // 10)


def one_process(series: int, points: int) -> Measured:
    prepare(series, 0)
    return take(points)
