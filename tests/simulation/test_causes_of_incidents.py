"""The ranking of causes on incidents whose root is known, against the largest robust z of each component."""

import numpy as np
import pytest

from hms.actors.analysis.causes import CallGraph, rank_causes

from .made_up_incidents import FAULTS, Incident, incident

INCIDENTS = [incident(seed) for seed in range(40)]


def ours(case: Incident) -> int:
    names = [cause.component for cause in rank_causes(case.metrics, case.graph, case.seen_us)]
    return names.index(case.root)


def by_robust_z(case: Incident) -> int:
    worst: dict[str, float] = {}
    for (component, _), (times, values) in case.metrics.items():
        before, after = values[times < case.seen_us], values[times >= case.seen_us]
        low, middle, high = np.nanquantile(before, (0.25, 0.5, 0.75))
        z = float(np.nanmax(np.abs(after - middle))) / ((high - low) or 1.0)
        worst[component] = max(worst.get(component, 0.0), z)
    return sorted(worst, key=lambda name: -worst[name]).index(case.root)


def share(places: list[int], top: int) -> float:
    return sum(place < top for place in places) / len(places)


def test_the_root_is_first_far_more_often_than_by_the_largest_robust_z() -> None:
    mine, plain = [ours(case) for case in INCIDENTS], [by_robust_z(case) for case in INCIDENTS]
    assert share(mine, 1) >= share(plain, 1) + 0.2
    assert share(mine, 3) >= 0.85


@pytest.mark.parametrize("fault", FAULTS)
def test_the_root_of_each_kind_of_fault_is_mostly_among_the_first_three(fault: str) -> None:
    assert share([ours(case) for case in INCIDENTS[FAULTS.index(fault) :: len(FAULTS)]], 3) >= 0.75


def test_the_calls_are_what_finds_the_root_of_a_delay() -> None:
    delays = INCIDENTS[FAULTS.index("delay") :: len(FAULTS)]
    without = [Incident(case.metrics, CallGraph([]), case.seen_us, case.root) for case in delays]
    assert sum(map(ours, delays)) <= sum(map(ours, without))
