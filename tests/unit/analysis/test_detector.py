"""The detectors: the same bits live and in retrospect, what counts as a sample, and what is found."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hms.actors.analysis.anomaly import Bank, score_series

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STEP_US = 300_000_000
START_US = 1_400_000_000_000_000


def times(count: int, step_us: int = STEP_US) -> Ints:
    return START_US + np.arange(count, dtype=np.int64) * step_us


def noise(count: int, seed: int = 0, level: float = 50.0, spread: float = 2.0) -> Floats:
    return np.random.default_rng(seed).normal(level, spread, count)


def live(at_us: Ints, values: Any) -> list[Any]:
    """Step through one series alone, a sample at a time."""
    bank = Bank(1)
    steps = [bank.step(at_us[row : row + 1], values[row : row + 1]) for row in range(len(values))]
    return [np.concatenate(column) for column in zip(*steps, strict=True)]


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000), lengths=st.lists(st.integers(1, 350), min_size=1, max_size=4))
def test_a_series_gets_the_same_bits_live_alone_and_among_others(seed: int, lengths: list[int]) -> None:
    random = np.random.default_rng(seed)
    series = []
    for length in lengths:
        values = random.lognormal(0, 1, length) * 10.0 ** random.integers(-3, 9)
        values[random.random(length) < 0.05] = np.nan
        at_us = times(length, int(random.integers(5, 3_600)) * 1_000_000)
        at_us[random.random(length) < 0.05] -= 1_000_000_000
        series.append((at_us, values))
    for one, scored in zip(series, score_series(series), strict=True):
        assert same(live(*one), scored)


def test_a_bank_goes_on_where_it_stopped_as_if_it_had_not() -> None:
    series = [(times(900), noise(900, seed)) for seed in range(3)]
    bank = Bank(3)
    at_us = np.array([one[0] for one in series]).T
    values = np.array([one[1] for one in series]).T
    steps = [bank.step(at_us[row], values[row]) for row in range(900)]
    for place, scored in enumerate(score_series(series)):
        assert same([np.array([step[column][place] for step in steps]) for column in range(3)], scored)


def test_a_step_of_some_series_leaves_the_others_as_they_were() -> None:
    both, alone = Bank(2), Bank(1)
    quiet, busy = noise(600, 1), noise(600, 2)
    at_us = times(600)
    for row in range(600):
        when, first = at_us[row : row + 1], np.array([0])
        mine = both.step(when, busy[row : row + 1], first)
        if row % 3 == 0:
            both.step(when, quiet[row : row + 1], np.array([1]))
        assert same(mine, alone.step(when, busy[row : row + 1]))


def test_series_may_join_a_bank_later() -> None:
    bank, fresh = Bank(1), Bank(1)
    values = noise(300)
    for row in range(200):
        bank.step(times(300)[row : row + 1], values[row : row + 1])
    bank.grow(Bank(1))
    for row in range(300):
        joined = bank.step(times(300)[row : row + 1], values[row : row + 1], np.array([1]))
        assert same(joined, fresh.step(times(300)[row : row + 1], values[row : row + 1]))


@settings(max_examples=6, deadline=None)
@given(cut=st.integers(1, 599))
def test_a_score_comes_from_the_past_alone(cut: int) -> None:
    values = noise(600)
    changed = values.copy()
    changed[cut:] = 1e6
    whole, other = score_series([(times(600), values), (times(600), changed)])
    assert same([column[:cut] for column in whole], [column[:cut] for column in other])


def test_a_score_does_not_change_when_the_unit_of_a_series_does() -> None:
    values = noise(2_000)
    values[1_500] += 60
    plain, scaled = score_series([(times(2_000), values), (times(2_000), values * 1024.0)])
    assert np.allclose(plain.scores, scaled.scores, atol=1e-6)
    assert np.array_equal(plain.onsets, scaled.onsets)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_was_not_measured_scores_0_and_teaches_nothing(value: float) -> None:
    values, at_us = noise(800), times(800)
    (without,) = score_series([(np.delete(at_us, 700), np.delete(values, 700))])
    values[700] = value
    (scored,) = score_series([(at_us, values)])
    assert scored.scores[700] == 0
    assert not scored.onsets[700]
    assert np.array_equal(np.delete(scored.scores, 700), without.scores)


@pytest.mark.parametrize("back_us", [0, STEP_US, 10 * STEP_US])
def test_a_duplicate_or_late_sample_scores_0_and_teaches_nothing(back_us: int) -> None:
    values, at_us = noise(800), times(800)
    (without,) = score_series([(at_us, values)])
    (scored,) = score_series([(np.insert(at_us, 701, at_us[700] - back_us), np.insert(values, 701, 1e9))])
    assert scored.scores[701] == 0
    assert np.array_equal(np.delete(scored.scores, 701), without.scores)


def test_a_clock_that_was_set_back_is_followed_after_thirty_samples() -> None:
    at_us, values = times(1_200), noise(1_200)
    at_us[600:] -= 10 * 86_400_000_000
    values[900] += 100
    (scored,) = score_series([(at_us, values)])
    assert not scored.scores[600:630].any()
    assert scored.onsets[900]


def test_an_anomaly_has_one_onset_while_its_state_lasts() -> None:
    values = noise(1_500)
    values[1_000:1_010] += 100
    (scored,) = score_series([(times(1_500), values)])
    assert scored.onsets[1_000]
    assert scored.onsets[1_000:1_010].sum() == 1
    assert scored.states[1_000:1_010].all()


def test_a_state_lasts_through_samples_that_were_not_measured() -> None:
    values = noise(1_500)
    values[1_000] += 100
    values[1_001:1_003] = np.nan
    (scored,) = score_series([(times(1_500), values)])
    assert scored.states[1_000:1_003].all()


def spike(values: Floats) -> None:
    values[2_500:2_502] += 40


def drop_to_zero(values: Floats) -> None:
    values[2_500:2_560] = 0


def new_level(values: Floats) -> None:
    values[2_500:] += 25


def variance_that_grows(values: Floats) -> None:
    values[2_500:] += 8 * (noise(len(values) - 2_500, 9) - 50)


def line_that_goes_flat(values: Floats) -> None:
    values[2_500:2_700] = 50


@pytest.mark.parametrize("shape", [spike, drop_to_zero, new_level, variance_that_grows, line_that_goes_flat])
def test_it_finds(shape: Callable[[Floats], None]) -> None:
    values = noise(3_000)
    shape(values)
    (scored,) = score_series([(times(3_000), values)])
    assert scored.onsets[2_500:2_600].any(), "within a hundred samples of its beginning"


def test_it_finds_a_day_without_its_peak() -> None:
    hours = np.arange(20 * 288) * 300 / 3_600 % 24
    values = np.where((hours > 9) & (hours < 18), 80.0, 20.0) + noise(len(hours), 3, 0, 1)
    peak = slice(15 * 288 + 109, 15 * 288 + 216)
    values[peak] -= 60
    (scored,) = score_series([(times(len(hours)), values)])
    assert scored.onsets[peak].any()


@pytest.mark.parametrize("value", [0.0, 45.0, -1e300, 1e-300])
def test_a_line_that_never_moves_never_alarms(value: float) -> None:
    (scored,) = score_series([(times(2_000), np.full(2_000, value))])
    assert not scored.scores.any()


def test_white_noise_alarms_less_than_three_times_in_a_thousand_samples() -> None:
    scored = score_series([(times(4_000), noise(4_000, seed)) for seed in range(10)])
    assert sum(int(one.onsets.sum()) for one in scored) < 3 * 40


def test_scores_are_between_0_and_1_whatever_comes() -> None:
    values = np.random.default_rng(4).choice([0, 1e308, -1e308, 1e-308, 5.0], 1_000)
    (scored,) = score_series([(times(1_000), values)])
    assert np.isfinite(scored.scores).all()
    assert (scored.scores >= 0).all()
    assert (scored.scores <= 1).all()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_series_that_is_too_short_scores_0(count: int) -> None:
    (scored,) = score_series([(times(count), noise(count))])
    assert len(scored.scores) == count
    assert not scored.scores.any()


def test_no_series_at_all_give_no_scores() -> None:
    assert score_series([]) == []
