"""Whole series at once: the same step over all of them side by side, longest first."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .bank import Bank
from .clock import Clock
from .columns import Bools, Floats, Ints

SIDE_BY_SIDE: int = 512
"""So many series at a time: their state fits the processor's cache better than that of thousands."""


class Scored(NamedTuple):
    """A series' scores in [0, 1], where an anomaly begins, and where one lasts; one of each per sample."""

    scores: Floats
    onsets: Bools
    states: Bools


def score_series(series: Sequence[tuple[Ints, Floats]]) -> list[Scored]:
    """Score series of (micros UTC, value), each sample from those before it alone; in the order given."""
    admitted = [_admitted(*one) for one in series]
    counted = [(at_us[counts], values[counts]) for (at_us, values), counts in zip(series, admitted, strict=True)]
    order = sorted(range(len(series)), key=lambda number: -len(counted[number][0]))
    found: dict[int, Scored] = {}
    for start in range(0, len(order), SIDE_BY_SIDE):
        numbers = order[start : start + SIDE_BY_SIDE]
        for number, scored in zip(numbers, _side_by_side([counted[number] for number in numbers]), strict=True):
            found[number] = _spread(scored, admitted[number])
    return [found[number] for number in range(len(series))]


def _admitted(at_us: Ints, values: Floats) -> Bools:
    if np.isfinite(values).all() and (at_us[1:] > at_us[:-1]).all():
        return np.ones(len(values), dtype=np.bool_)
    clock = Clock(1)
    rows = range(len(values))
    return np.array([clock.admit(at_us[row : row + 1], values[row : row + 1])[0] for row in rows], dtype=np.bool_)


def _side_by_side(series: Sequence[tuple[Ints, Floats]]) -> list[Scored]:
    """Step through series that are sorted by length, the longest first; those that have ended are left out of the step."""
    lengths = np.array([len(values) for _, values in series])
    shape = (int(lengths[0]), len(series))
    at_us, values = np.zeros(shape, dtype=np.int64), np.zeros(shape)
    for place, (when, what) in enumerate(series):
        at_us[: len(what), place], values[: len(what), place] = when, what
    scores, onsets, states = np.zeros(shape), np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    bank = Bank(len(series))
    running = np.searchsorted(-lengths, -np.arange(shape[0]), side="left")
    for row, count in enumerate(running):
        here = (row, slice(0, int(count)))
        scores[here], onsets[here], states[here] = bank.learn(at_us[here], values[here], here[1])
    return [
        Scored(scores[:length, place], onsets[:length, place], states[:length, place])
        for place, length in enumerate(lengths)
    ]


def _spread(scored: Scored, admitted: Bools) -> Scored:
    """Put the samples that did not count back in: score 0, no onset, and the state that lasts."""
    scores, onsets = np.zeros(len(admitted)), np.zeros(len(admitted), dtype=np.bool_)
    scores[admitted], onsets[admitted] = scored.scores, scored.onsets
    states = np.concatenate(([False], scored.states))[np.cumsum(admitted)]
    return Scored(scores, onsets, states)
