"""A component that leaves the fleet in the moment in which it crashes: the removal wins, at once."""

from typing import Any

import pytest

from hms.schemas.component import DescribeComponent
from hms.schemas.component_events import ComponentStartRequested
from hms.schemas.fleet import Backoff
from hms.schemas.fleet_messages import ApplyFleet


def found_dead(world: Any, remaining: Any, delivered: int) -> None:
    """Find `flap` dead at adoption; apply a fleet without it when so many messages about that have been delivered."""
    world.host.end("flap", code=1, seen="adoption")
    for _ in range(delivered):
        if world.mail:
            world._deliver(*world.mail.popleft())
    world.tell("fleet/shop", ApplyFleet(spec=remaining, host="h1", who="test"))
    world.run()


@pytest.mark.parametrize("delivered", range(6))
@pytest.mark.parametrize("group", ["front", "flapping"])
def test_what_is_found_dead_when_the_file_does_not_name_it_any_more_is_not_started_again(
    world: Any, spec: Any, fleet_of: Any, delivered: int, group: str
) -> None:
    world.apply(fleet_of(spec("web"), spec("flap", group)))
    found_dead(world, fleet_of(spec("web")), delivered)
    assert world.ask("component/flap", DescribeComponent()) == "not_found"
    world.pass_ms(20_000)
    assert len(world.events(ComponentStartRequested, "component/flap")) == 1
    assert world.running() == {"web": 1}


@pytest.mark.parametrize("delivered", range(6))
@pytest.mark.parametrize("group", ["front", "flapping"])
def test_a_start_that_was_in_the_mail_when_the_component_left_is_undone_without_waiting(
    world: Any, spec: Any, fleet_of: Any, delivered: int, group: str
) -> None:
    soon = Backoff(first_ms=1, max_ms=1, jitter=1, stable_ms=10_000)
    world.apply(fleet_of(spec("web"), spec("flap", group, backoff=soon)))
    world.crash("flap")
    (due, _, message) = world.timers[(f"group/{group}", f"wait:{world.state[f'group/{group}'].plans[-1].id}")]
    world.now = due
    world.tell(f"group/{group}", message)
    for _ in range(delivered):
        if world.mail:
            world._deliver(*world.mail.popleft())
    world.tell("fleet/shop", ApplyFleet(spec=fleet_of(spec("web")), host="h1", who="test"))
    world.run()
    assert world.ask("component/flap", DescribeComponent()) == "not_found"
    assert world.running() == {"web": 1}
