"""Trends: slopes and their significance against scipy's numbers, closed buckets, seasons, and changes of the level."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hms.actors.analysis.trend import Samples, Trend, Trends, change_points

Floats = npt.NDArray[np.float64]
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US


def samples(values: Any, step_us: int = MINUTE_US, series: str = "cpu") -> Samples:
    return Samples.of((series, place * step_us, float(value)) for place, value in enumerate(values))


def trend(values: Any, **options: Any) -> Trend:
    with Trends(MINUTE_US, **options) as trends:
        trends.add(samples(values))
        (found,) = trends.trends()
    return found


def noise(count: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(0, 1, count)


def test_the_slope_is_the_median_of_the_slopes_of_all_pairs() -> None:
    values = noise(40) + 0.1 * np.arange(40)
    pairs = [(values[b] - values[a]) / (b - a) for a in range(40) for b in range(a + 1, 40)]
    found = trend(values)
    assert found.slope * 60 == pytest.approx(np.median(pairs), rel=1e-9)
    assert found.change == pytest.approx(np.median(pairs) * 39, rel=1e-9)
    assert found.direction == "up"


def test_the_significance_is_mann_kendalls() -> None:
    values = [1, 3, 2, 5, 4, 7, 6, 9, 8, 10]
    found = trend(values)
    s = sum(np.sign(values[b] - values[a]) for a in range(10) for b in range(a + 1, 10))
    assert found.z == pytest.approx((s - 1) / np.sqrt(10 * 9 * 25 / 18 * found.correction))


def test_ties_count_for_less() -> None:
    found = trend([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3])
    variance = (12 * 11 * 29 - 3 * 4 * 3 * 13) / 18
    assert found.z == pytest.approx((48 - 1) / np.sqrt(variance * found.correction))


def test_a_walk_without_a_trend_is_mostly_not_called_one_though_uncorrected_it_would_be() -> None:
    false = plain = 0
    for seed in range(20):
        steps, walk = noise(100, seed), np.zeros(100)
        for place in range(1, 100):
            walk[place] = 0.9 * walk[place - 1] + steps[place]
        found = trend(walk)
        false += found.direction != "none"
        plain += abs(found.z) * found.correction**0.5 > 2.58
    assert plain > 8
    assert false <= plain / 2


def hamed_and_rao(values: Floats) -> float:
    """Compute the correction of the variance as their paper has it, over the first 20 lags."""
    n = len(values)
    pairs = [(values[b] - values[a]) / (b - a) for a in range(n) for b in range(a + 1, n)]
    ranks = np.argsort(np.argsort(values - np.median(pairs) * np.arange(n))) - (n - 1) / 2
    echoes = [float(np.dot(ranks[lag:], ranks[:-lag]) / np.dot(ranks, ranks)) for lag in range(1, 21)]
    kept = [
        (n - lag) * (n - lag - 1) * (n - lag - 2) * echo
        for lag, echo in enumerate(echoes, 1)
        if abs(echo) > 1.96 / np.sqrt(n)
    ]
    return max(1 + 2 * sum(kept) / (n * (n - 1) * (n - 2)), 1.0)


@pytest.mark.parametrize("seed", range(4))
def test_the_correction_is_hamed_and_raos(seed: int) -> None:
    values = np.cumsum(noise(60, seed))
    assert trend(values).correction == pytest.approx(hamed_and_rao(values))


def test_noise_has_no_trend() -> None:
    assert sum(trend(noise(100, seed)).direction != "none" for seed in range(20)) <= 1


def test_a_single_outlier_makes_no_trend() -> None:
    values = noise(60)
    values[50] = 1e9
    assert trend(values).direction == "none"


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_what_stands_still_has_no_trend(value: float) -> None:
    found = trend([value] * 20)
    assert (found.direction, found.slope, found.p) == ("none", 0, 1)


def test_fewer_than_eight_buckets_say_nothing() -> None:
    with Trends(MINUTE_US) as trends:
        trends.add(samples(range(7)))
        assert trends.trends() == []


def test_in_parts_it_is_the_same_as_at_once() -> None:
    values = noise(500, 3)
    with Trends(10 * MINUTE_US) as whole, Trends(10 * MINUTE_US) as parts:
        whole.add(samples(values))
        every = samples(values)
        for start in range(0, 500, 77):
            here = slice(start, start + 77)
            parts.add(Samples(every.series[here], every.at_us[here], every.values[here]))
        assert parts.trends() == whole.trends()
        assert parts.points("cpu") == whole.points("cpu")


def test_only_the_last_buckets_count() -> None:
    falling_then_rising = np.concatenate([np.arange(100, 0, -1), np.arange(30)])
    assert trend(falling_then_rising, buckets=30).direction == "up"


def test_what_was_not_measured_or_comes_after_its_bucket_was_closed_is_left_out() -> None:
    with Trends(MINUTE_US) as trends:
        trends.add(samples([*range(20), np.nan, np.inf]))
        trends.add(Samples.of([("cpu", 0, 1e9)]))
        assert [middle for _, middle in trends.points("cpu")] == list(range(20))


def test_many_series_keep_apart() -> None:
    with Trends(MINUTE_US) as trends:
        trends.add(samples(np.arange(30), series="up"))
        trends.add(samples(-np.arange(30), series="down"))
        assert [(one.series, one.direction) for one in trends.trends()] == [("down", "down"), ("up", "up")]


def test_a_daily_course_is_a_season_and_noise_is_none() -> None:
    hours = np.arange(24 * 21)
    with Trends(HOUR_US) as trends:
        trends.add(samples(10 * np.sin(hours / 24 * 2 * np.pi) + noise(len(hours)), HOUR_US, "daily"))
        trends.add(samples(noise(len(hours)), HOUR_US, "noise"))
        strength = {(one.series, one.period): one.strength for one in trends.seasons()}
    assert strength["daily", "day"] > 0.7
    assert strength["noise", "day"] < 0.3


@pytest.mark.parametrize("hours", [6, 30, 47, 24 * 4, 24 * 8])
def test_what_moves_slowly_is_no_season_however_short_the_buckets(hours: int) -> None:
    minutes = np.arange(hours * 60)
    with Trends(5 * MINUTE_US) as trends:
        trends.add(samples(0.01 * minutes, MINUTE_US, "trend"))
        trends.add(samples(np.cumsum(noise(len(minutes))), MINUTE_US, "walk"))
        assert all(one.strength < 0.6 for one in trends.seasons())


def test_a_cycle_that_was_seen_once_is_no_season_and_twice_is_one() -> None:
    minutes = np.arange(24 * 60 * 2 + 10)
    course = 10 * np.sin(minutes / 60 / 24 * 2 * np.pi)
    with Trends(5 * MINUTE_US) as trends:
        trends.add(samples(course[: 40 * 60], MINUTE_US, "daily"))
        assert trends.seasons() == []
        trends.add(samples(course, MINUTE_US, "again"))
        (season,) = trends.seasons()
    assert (season.series, season.period, season.seen) == ("again", "day", 2)
    assert season.strength > 0.9


def points(values: Any) -> list[tuple[int, float]]:
    return [(place * MINUTE_US, float(value)) for place, value in enumerate(values)]


def test_a_new_level_is_found_where_it_begins() -> None:
    values = noise(120)
    values[70:] += 4
    (change,) = change_points(points(values))
    assert abs(change.at_us - 70 * MINUTE_US) <= 2 * MINUTE_US
    assert change.before == pytest.approx(0, abs=0.6)
    assert change.after == pytest.approx(4, abs=0.6)


@pytest.mark.parametrize("of", ["daily", "walk", "echo"])
def test_what_moves_slowly_has_hardly_a_change_of_level(of: str) -> None:
    counts = []
    for seed in range(20):
        shocks, values = noise(100, seed), np.zeros(100)
        for place in range(1, 100):
            values[place] = (1.0 if of == "walk" else 0.8) * values[place - 1] + shocks[place]
        if of == "daily":
            values = 30 * np.sin(np.arange(100) / 288 * 2 * np.pi + seed) + shocks
        counts.append(len(change_points(points(values))))
    assert np.mean(counts) <= 1


def test_a_change_is_found_in_what_echoes_itself_too() -> None:
    values = np.convolve(noise(101), [1, 0.5], "valid")
    values[60:] += 6
    assert [round(change.at_us / MINUTE_US, -1) for change in change_points(points(values))] == [60]


def test_two_changes_are_found_one_after_the_other() -> None:
    values = noise(150, 2)
    values[50:] += 6
    values[100:] -= 9
    assert [round(change.at_us / MINUTE_US, -1) for change in change_points(points(values))] == [50, 100]


def test_a_spike_is_no_change_of_level() -> None:
    values = noise(100)
    values[40] = 1e6
    assert change_points(points(values)) == []


def test_noise_and_lines_that_stand_still_have_few_changes() -> None:
    assert sum(len(change_points(points(noise(100, seed)))) for seed in range(20)) <= 4
    assert change_points(points([5] * 50)) == []
    assert change_points([]) == []
    assert change_points(points([1])) == []


def test_a_step_in_what_stands_still_is_a_change() -> None:
    (change,) = change_points(points([5] * 30 + [7] * 30))
    assert (change.at_us, change.before, change.after) == (30 * MINUTE_US, 5, 7)
