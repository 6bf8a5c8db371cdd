"""What is usual: ranks among the extremes of blocks, and a memory of days whatever the step."""

import numpy as np

from hms.actors.analysis.anomaly.usual import BLOCK, BLOCKS, Usual

DAY_US = 86_400_000_000


def learned(values: list[float], step_us: int) -> Usual:
    usual = Usual(1, 1)
    for place, value in enumerate(values):
        usual.learn(np.array([place * step_us]), np.array([[value]]))
    return usual


def test_nothing_is_unusual_before_six_blocks_were_seen() -> None:
    usual = learned([1.0] * (6 * BLOCK - 1), 1)
    assert not usual.known[0]
    usual.learn(np.array([6 * BLOCK]), np.array([[1.0]]))
    assert usual.known[0]
    assert usual.beyond(np.array([[3.0]]))[0, 0] == 2
    assert usual.beyond(np.array([[0.5]]))[0, 0] == 0.5


def test_two_bursts_do_not_hide_a_third_and_the_third_makes_them_usual() -> None:
    quiet = [float(place % BLOCK) for place in range(20 * BLOCK)]
    for bursts, beyond in ((2, 69.0), (3, 0.0)):
        values = quiet.copy()
        for burst in range(bursts):
            values[burst * 3 * BLOCK + 5] = 100.0
        assert learned(values, 1).beyond(np.array([[100.0]]))[0, 0] == beyond


def test_a_series_of_five_seconds_remembers_days_and_one_of_five_minutes_the_same_number_of_blocks() -> None:
    fine = learned([0.0] * (3 * BLOCKS * BLOCK), 5_000_000)
    assert (fine.length[0], fine.blocks[0]) == (4 * BLOCK, 192)
    coarse = learned([0.0] * (2 * BLOCKS * BLOCK), 300_000_000)
    assert (coarse.length[0], coarse.blocks[0]) == (BLOCK, BLOCKS)


def test_the_peak_of_yesterday_is_remembered_through_a_day_of_five_second_samples() -> None:
    day = DAY_US // 5_000_000
    values = [100.0 if place % day < BLOCK * 64 else 0.0 for place in range(2 * day)]
    assert learned(values, 5_000_000).beyond(np.array([[100.0]]))[0, 0] == 0


def test_merged_blocks_keep_every_extreme() -> None:
    values = [float(place) for place in range(BLOCKS * BLOCK)]
    usual = learned(values, 5_000_000)
    assert usual.blocks[0] == BLOCKS // 2
    assert usual.highs[0, 0, 0] == 2 * BLOCK - 1
    assert usual.lows[0, 127, 0] == 254 * BLOCK
