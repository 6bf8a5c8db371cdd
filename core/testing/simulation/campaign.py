"""Many seeds, on all processors: what broke, and how often each fault struck."""

import multiprocessing
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from .run import simulate

CHUNK = 20
PROCESSES_MAX = 8


class Campaign(NamedTuple):
    """What came of many worlds: the broken promises by seed, and the strikes of every fault over all of them."""

    worlds: int
    broken: dict[int, list[str]]
    strikes: Counter[str]

    def of(self, name: str) -> dict[int, list[str]]:
        """Return what broke of one promise."""
        found = {seed: [what for what in lines if what.startswith(f"{name}:")] for seed, lines in self.broken.items()}
        return {seed: lines for seed, lines in found.items() if lines}


def campaign(seeds: Iterable[int], processes: int | None = None) -> Campaign:
    """Simulate every seed; the order of the results, and all else, is the same with any number of processes."""
    wanted = list(seeds)
    chunks = [wanted[start : start + CHUNK] for start in range(0, len(wanted), CHUNK)]
    count = processes or min(PROCESSES_MAX, os.cpu_count() or 1)
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = list(pool.map(_part, chunks))
    broken = {seed: lines for part in parts for seed, lines in part.broken.items()}
    strikes: Counter[str] = Counter()
    for part in parts:
        strikes.update(part.strikes)
    return Campaign(len(wanted), broken, strikes)


def _part(seeds: Sequence[int]) -> Campaign:
    broken: dict[int, list[str]] = {}
    strikes: Counter[str] = Counter()
    for seed in seeds:
        verdict = simulate(seed)
        strikes.update(verdict.strikes)
        if verdict.broken:
            broken[seed] = [what[:2_000] for what in verdict.broken]
    return Campaign(len(seeds), broken, strikes)
