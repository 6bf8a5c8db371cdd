"""The scorer of the bench, against numbers that follow from the benchmark's own formulas."""

import math
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

PLACE = Path(__file__).parents[2] / "bench" / "nab.py"
spec = spec_from_file_location("nab", PLACE)
assert spec is not None
assert spec.loader is not None
nab = module_from_spec(spec)
spec.loader.exec_module(nab)

ROWS = 1_000
WINDOWS = [(400, 449), (700, 749)]


def scored(*rows: int, windows: Sequence[tuple[int, int]] = WINDOWS) -> Any:
    return nab.score_series([row in rows for row in range(ROWS)], windows)


def test_who_never_alerts_has_0() -> None:
    assert scored().score == 0


def test_who_alerts_at_the_first_row_of_each_window_and_nowhere_else_has_100() -> None:
    assert scored(400, 700).score == pytest.approx(100)


def test_an_alert_in_the_middle_of_a_window_counts_less() -> None:
    position = -(449 - 425 + 1) / 50
    assert scored(425).raw == pytest.approx((2 / (1 + math.exp(5 * position)) - 1) / 0.9866142981514305 - 1)


def test_a_window_counts_once_by_its_earliest_alert() -> None:
    assert scored(410, 420, 449).raw == scored(410).raw


def test_an_alert_before_all_windows_costs_the_whole() -> None:
    assert scored(300).raw == pytest.approx(-2 - 0.11)


def test_an_alert_just_behind_a_window_costs_less_than_one_far_behind() -> None:
    near, far = scored(450).raw + 2, scored(690).raw + 2
    assert near == pytest.approx(0.11 * (2 / (1 + math.exp(5 / 49)) - 1))
    assert far == pytest.approx(-0.11)


def test_the_first_15_percent_are_not_scored_but_at_most_750_rows() -> None:
    assert scored(0, 149).raw == -2
    assert scored(150).raw == pytest.approx(-2.11)
    assert nab.probation_rows(100_000) == 750


def test_a_window_that_ends_within_the_first_15_percent_does_not_count() -> None:
    assert scored(windows=[(10, 60), *WINDOWS]).windows == 2


def test_without_windows_only_false_alarms_count() -> None:
    assert scored(500, windows=[]) == nab.Result(pytest.approx(-0.11), 0, 0, 1)


def test_windows_are_found_by_their_timestamps() -> None:
    times = [f"2014-04-01 00:{minute:02}:00" for minute in range(60)]
    assert nab.spans(times, [["2014-04-01 00:10:00.000000", "2014-04-01 00:20:00.000000"]]) == [(10, 20)]
