"""Delays and start orders: small pure functions with properties."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hms.actors.fleet.order import start_order
from hms.actors.group.backoff import delay_ms, failed_starts_max
from hms.schemas.component_events import ComponentExited
from hms.schemas.fleet import Backoff, ComponentSpec, GroupSpec
from hms.schemas.group_events import RestartCounted


@given(st.integers(1, 10_000), st.integers(0, 1_000), st.floats(0, 1))
def test_a_delay_is_jittered_around_its_doubled_value_and_always_the_same(
    first_ms: int, failures: int, jitter: float
) -> None:
    backoff = Backoff(first_ms=first_ms, max_ms=60_000, jitter=jitter)
    plain = min(60_000, first_ms * 2 ** max(failures - 1, 0))
    delay = delay_ms(backoff, failures, "web", 3)
    assert plain * (1 - jitter) - 1 <= delay <= plain * (1 + jitter) + 1
    assert delay == delay_ms(backoff, failures, "web", 3)


def test_components_that_die_together_do_not_come_back_together() -> None:
    delays = {delay_ms(Backoff(jitter=0.5), 1, f"web-{number}", 1) for number in range(50)}
    assert len(delays) > 25


def test_the_failed_starts_that_give_up_follow_the_intensity_but_are_at_least_ten() -> None:
    assert failed_starts_max(GroupSpec(id="g", max_restarts=0)) == 10
    assert failed_starts_max(GroupSpec(id="g", max_restarts=100)) == 200


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_a_start_order_keeps_the_file_and_puts_dependencies_first(pairs: list[tuple[int, int]]) -> None:
    needs: dict[int, dict[str, Any]] = {number: {} for number in range(8)}
    for first, second in pairs:
        if first != second:
            needs[max(first, second)][str(min(first, second))] = "ready"
    specs = [ComponentSpec(id=str(number), command=("x",), depends_on=needs[number]) for number in range(8)]
    assert [each.id for each in start_order(specs)] == [each.id for each in specs]
    backwards = [each.id for each in start_order(specs[::-1])]
    assert all(backwards.index(name) < backwards.index(each.id) for each in specs for name in each.depends_on)
    assert sorted(backwards) == sorted(each.id for each in specs)


def test_an_exit_found_at_adoption_is_restarted_but_not_counted(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a"), max_restarts=0))
    world.crash("a", code=1, seen="adoption")
    world.pass_ms(200)
    assert world.running() == {"a": 2}
    assert world.events(RestartCounted) == []


def test_every_exit_carries_how_it_ended(world: Any, spec: Any, fleet_of: Any) -> None:
    world.apply(fleet_of(spec("a")))
    world.crash("a", signal="KILL", oom=True, ran_ms=1_234, last_output=("one", "two"))
    end = world.events(ComponentExited)[0].exit
    assert (end.signal, end.code, end.oom, end.ran_ms, end.last_lines) == ("KILL", None, True, 1_234, ("one", "two"))
    assert world.describe("a").exits == (end,)
    assert world.describe("a").message == "killed by KILL (out of memory) after 1234 ms"
