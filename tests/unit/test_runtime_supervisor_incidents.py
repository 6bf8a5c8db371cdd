"""What the runtime supervisor decides about ill components, and what it writes down about it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hms.actors.runtime import runtime_supervisor
from hms.actors.runtime.state import INCIDENTS_MAX
from hms.actors.well_known import group
from hms.core.decision import send
from hms.core.testing.given import EPOCH, given
from hms.schemas.administrative import SupervisorStatusRequest
from hms.schemas.recovery import HealthNotification, RecoverComponent, RecoveryNotification, RecoveryOutcome
from hms.schemas.recovery_event import (
    GroupRecoverySeen,
    IncidentClosed,
    IncidentOpened,
    RecoveryCompleted,
    RecoveryHeld,
    RecoveryInitiated,
    StaleHealthIgnored,
)

OPENED = IncidentOpened(
    incident_id="incident",
    component_id="web",
    group_id="front",
    incarnation=3,
    status="Critical",
    message="3 probes in a row failed",
    at=EPOCH,
)
INITIATED = RecoveryInitiated(
    recovery_id="recovery",
    component_id="web",
    group_id="front",
    incarnation=3,
    attempt=1,
    because="Critical: 3 probes in a row failed",
    task_id=None,
    at=EPOCH,
)


def ill(status: str = "Critical", incarnation: int = 3, component: str = "web") -> HealthNotification:
    return HealthNotification(
        component_id=component,
        group="front",
        status=status,
        message="3 probes in a row failed",
        incarnation=incarnation,
    )


def outcome(result: str = "healed", reason: str = "", incarnation: int = 4) -> RecoveryOutcome:
    return RecoveryOutcome(component="web", incarnation=incarnation, outcome=result, reason=reason)


def names(events: Any) -> list[str]:
    return [type(event).__name__ for event in events]


@pytest.mark.parametrize("status", ["Critical", "critical", "Unhealthy", "UNHEALTHY"])
def test_an_ill_component_is_recovered_through_its_group(status: str) -> None:
    result = given(runtime_supervisor, key="main").when(ill(status))
    opened, initiated = result.decision.events
    assert isinstance(opened, IncidentOpened)
    assert isinstance(initiated, RecoveryInitiated)
    assert initiated.because == f"{status}: 3 probes in a row failed"
    order = RecoverComponent(component="web", incarnation=3, reason=initiated.because)
    result.then_sent(send(group("front"), order, priority="high"))
    assert [timer.name for timer in result.decision.timers] == ["recovery:web"]


@pytest.mark.parametrize("status", ["Healthy", "Degraded", "Unknown"])
def test_a_component_that_is_not_ill_is_left_alone(status: str) -> None:
    given(runtime_supervisor).when(ill(status)).then().then_sent()


def test_an_illness_that_is_repeated_during_its_recovery_changes_nothing() -> None:
    given(runtime_supervisor, OPENED, INITIATED).when(ill()).then().then_sent()


def test_the_outcome_ends_the_recovery_and_the_incident_with_how_long_they_took() -> None:
    result = given(runtime_supervisor, OPENED, INITIATED).at(EPOCH + timedelta(milliseconds=1_500)).when(outcome())
    result.then(
        RecoveryCompleted(
            recovery_id="recovery",
            component_id="web",
            task_id=None,
            outcome="healed",
            incarnation=4,
            attempts=1,
            duration_ms=1_500,
            reason="",
        ),
        IncidentClosed(incident_id="incident", component_id="web", result="healed", duration_ms=1_500),
    )


def test_a_component_that_was_given_up_ends_its_incident_so() -> None:
    result = given(runtime_supervisor, OPENED, INITIATED).when(outcome("given_up", "5 restarts in 60 s"))
    completed, closed = result.decision.events
    assert isinstance(completed, RecoveryCompleted)
    assert isinstance(closed, IncidentClosed)
    assert (completed.outcome, completed.reason, closed.result) == ("given_up", "5 restarts in 60 s", "given_up")


@pytest.mark.parametrize("why", ["desired down", "stale incarnation", "component not found", "halted"])
def test_a_recovery_that_has_no_meaning_is_held_and_the_incident_closed(why: str) -> None:
    result = given(runtime_supervisor, OPENED, INITIATED).when(outcome("ignored", f"{why}: so it is"))
    held, closed = result.decision.events
    assert isinstance(held, RecoveryHeld)
    assert isinstance(closed, IncidentClosed)
    assert (held.why, held.reason, closed.result) == (why, f"{why}: so it is", why)


@pytest.mark.parametrize("why", ["paused", "already recovering"])
def test_a_recovery_that_is_held_for_now_is_tried_again_when_the_component_says_so(why: str) -> None:
    first = given(runtime_supervisor, OPENED, INITIATED).when(outcome("ignored", why))
    [held] = first.decision.events
    assert isinstance(held, RecoveryHeld)
    again = given(runtime_supervisor, OPENED, INITIATED, held).when(ill())
    assert names(again.decision.events) == ["RecoveryInitiated"]


def test_a_component_that_gets_well_by_itself_closes_its_incident() -> None:
    result = given(runtime_supervisor, OPENED).when(ill("Healthy"))
    result.then(IncidentClosed(incident_id="incident", component_id="web", result="healthy", duration_ms=0))


def test_a_notification_about_a_former_incarnation_is_recorded_and_ignored() -> None:
    ignored = StaleHealthIgnored(component_id="web", incarnation=2, current_incarnation=3, status="Critical")
    given(runtime_supervisor, OPENED, INITIATED).when(ill(incarnation=2)).then(ignored).then_sent()
    well = StaleHealthIgnored(component_id="web", incarnation=2, current_incarnation=3, status="Healthy")
    given(runtime_supervisor, OPENED).when(ill("Healthy", incarnation=2)).then(well)


def test_a_newer_incarnation_that_is_ill_waits_for_the_outcome_of_the_order_under_way() -> None:
    newer = given(runtime_supervisor, OPENED, INITIATED).when(ill(incarnation=4))
    assert names(newer.decision.events) == ["IncidentClosed", "IncidentOpened"]
    newer.then_sent()
    history = (OPENED, INITIATED, *newer.decision.events)
    result = given(runtime_supervisor, *history).when(outcome("ignored", "stale incarnation"))
    assert names(result.decision.events) == ["RecoveryHeld", "RecoveryInitiated"]
    [order] = [each.message for each in result.decision.sends]
    assert isinstance(order, RecoverComponent)
    assert order.incarnation == 4


def test_an_outcome_that_nobody_waits_for_changes_nothing() -> None:
    given(runtime_supervisor).when(outcome()).then().then_sent()


def test_a_group_that_does_not_answer_is_asked_again_at_the_next_notification(desk: Callable[[Any], Any]) -> None:
    runtime = desk(runtime_supervisor)
    runtime.tell(ill())
    runtime.advance(120_000)
    assert names(runtime.events) == ["IncidentOpened", "RecoveryInitiated", "RecoveryCompleted"]
    assert runtime.events[-1].outcome == "unanswered"
    runtime.tell(ill())
    assert names(runtime.events)[3:] == ["RecoveryInitiated"]


def test_what_a_group_healed_by_itself_is_on_record_and_ends_the_incident() -> None:
    seen = RecoveryNotification(
        recovery_id="r",
        component_id="web",
        group="front",
        incarnation=4,
        stage="completed",
        decision="restart",
        strategy="one_for_one",
        cause="killed by signal 9",
        outcome="healed",
        duration_ms=420,
    )
    result = given(runtime_supervisor, OPENED).when(seen)
    recorded, closed = result.decision.events
    assert isinstance(recorded, GroupRecoverySeen)
    assert (recorded.cause, recorded.duration_ms) == ("killed by signal 9", 420)
    assert isinstance(closed, IncidentClosed)
    assert closed.result == "healed"
    begun = seen.model_copy(update={"stage": "initiated", "outcome": ""})
    assert names(given(runtime_supervisor, OPENED).when(begun).decision.events) == ["GroupRecoverySeen"]


def test_the_open_incidents_and_the_counters_are_shown(desk: Callable[[Any], Any]) -> None:
    runtime = desk(runtime_supervisor)
    runtime.tell(ill())
    runtime.tell(ill(component="db"))
    runtime.tell(outcome())
    metrics = runtime.tell(SupervisorStatusRequest()).reply.metrics
    assert (metrics["incidents_open"], metrics["recoveries_open"], metrics["recoveries_healed"]) == (1.0, 1.0, 1.0)


def test_the_oldest_of_too_many_incidents_is_forgotten() -> None:
    state = runtime_supervisor.initial()
    many = {
        f"c{number}": OPENED.model_copy(update={"component_id": f"c{number}"}) for number in range(INCIDENTS_MAX + 5)
    }
    for event in many.values():
        state = runtime_supervisor.evolve(state, event)
    assert len(state.incidents) == INCIDENTS_MAX
    assert "c0" not in state.incidents
