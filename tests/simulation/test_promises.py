"""The promises of the design, over 4,000 simulated worlds whose log, clocks, nodes and clients fail.

Each world is drawn from its seed; a line of what broke names the command that repeats it, with a trace.
"""

from functools import cache

import pytest

from hms.core.testing.simulate import command, main, report
from hms.core.testing.simulation import ALL_FAULTS, Campaign, campaign, plan_of, simulate

SEEDS = range(4_000)

pytestmark = pytest.mark.timeout(400)  # under a minute on two free cores; a busy machine is not a failure


@cache
def worlds() -> Campaign:
    return campaign(SEEDS)


def holds(name: str) -> None:
    broken = worlds().of(name)
    lines = [f"{command(seed)}\n    " + "\n    ".join(found[:3]) for seed, found in sorted(broken.items())[:5]]
    assert not broken, f"{name} broke in {len(broken)} of {worlds().worlds} worlds; repeat with\n" + "\n".join(lines)


def test_promise_1_acknowledged_means_durable() -> None:
    holds("promise 1")


def test_promise_2_each_message_changes_each_actor_at_most_once() -> None:
    holds("promise 2")


def test_promise_3_fenced_records_are_never_visible() -> None:
    holds("promise 3")


def test_promise_4_state_is_the_fold() -> None:
    holds("promise 4")


def test_promise_5_replay_is_exact() -> None:
    holds("promise 5")


def test_promise_6_bad_input_is_refused_or_dead_lettered_and_stops_nothing() -> None:
    holds("promise 6")


def test_promise_8_nothing_is_written_by_a_replay() -> None:
    holds("promise 8")


def test_no_decision_is_made_by_a_clock_that_is_far_off() -> None:
    holds("clocks")


def test_timers_are_neither_lost_nor_doubled_nor_early() -> None:
    holds("timers")


def test_effects_act_at_least_once_after_the_commit_under_growing_tokens() -> None:
    holds("effects")


def test_every_world_settles_and_every_client_gets_its_answer() -> None:
    holds("liveness")


def test_no_task_fails_unheard() -> None:
    holds("unhandled")


def test_every_fault_struck() -> None:
    never = [fault for fault in ALL_FAULTS if not worlds().strikes[fault]]
    assert not never, f"faults that never struck in {worlds().worlds} worlds: {never}; struck: {worlds().strikes}"


def test_one_seed_is_one_history() -> None:
    first, second = simulate(7), simulate(7)
    assert report(first) == report(second)
    assert plan_of(7) != plan_of(8)


def test_the_command_repeats_a_seed_with_a_readable_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(7) == "python -m hms.core.testing.simulate --seed 7"
    assert main(["--seed", "7"]) == 0
    printed = capsys.readouterr().out
    assert "n0#1       started" in printed
    assert "every promise held" in printed
