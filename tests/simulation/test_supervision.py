"""Promise 7, over simulated fleets whose processes, nodes, agent and log fail."""

import pytest

from .supervised import supervise

pytestmark = pytest.mark.timeout(300)  # seconds on free cores; a busy machine is not a failure


def test_promise_7_what_dies_is_restarted_within_its_policy_never_silently_not_and_never_twice() -> None:
    fleets = {seed: supervise(seed) for seed in range(120)}
    broken = {seed: fleet.broken for seed, fleet in fleets.items() if fleet.broken}
    assert not broken, f"repeat with supervise({next(iter(broken))}): {broken}"
    assert sum(fleet.crashes for fleet in fleets.values()) > 120
    assert sum(fleet.stale_reports for fleet in fleets.values()) > 120
    assert not any(fleet.given_up for fleet in fleets.values())


def test_promise_7_or_it_is_given_up_loudly() -> None:
    fleets = {seed: supervise(seed, intensity=1) for seed in range(40)}
    broken = {seed: fleet.broken for seed, fleet in fleets.items() if fleet.broken}
    assert not broken, f"repeat with supervise({next(iter(broken))}, intensity=1): {broken}"
    assert any(fleet.given_up for fleet in fleets.values())
