"""The registry of the meta supervisor: registration, heartbeats, silence, leaving."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hms.actors.meta import meta_supervisor
from hms.core.address import Address
from hms.core.decision import send
from hms.schemas.administrative import (
    ConfigureSupervisor,
    DescribeSupervisor,
    ListSupervisors,
    SupervisorConfiguration,
    SupervisorDeregistration,
    SupervisorHeartbeat,
    SupervisorRegistration,
    SupervisorStatusRequest,
)
from hms.schemas.registry_event import (
    SupervisorConfigured,
    SupervisorDeregistered,
    SupervisorHeard,
    SupervisorLost,
    SupervisorRegistered,
    SupervisorWatchExtended,
)
from hms.schemas.task import SubmitTask
from hms.schemas.task_event import TaskReleased
from hms.schemas.task_protocol import TaskAssignment, TaskCancellation
from hms.schemas.task_record import TaskOpened

RUNTIME = "runtime_supervisor/main"
BEAT = SupervisorHeartbeat(supervisor_id="runtime_supervisor", metrics={"incidents_open": 1.0})


def registration(name: str = "runtime_supervisor", **changes: Any) -> SupervisorRegistration:
    fields = {"supervisor_id": name, "supervisor_type": "runtime", "capabilities": ("Recovery",)}
    return SupervisorRegistration.model_validate({**fields, **changes})


@pytest.fixture
def meta(desk: Callable[[Any], Any]) -> Any:
    return desk(meta_supervisor)


def kinds(meta: Any) -> list[str]:
    return [type(event).__name__ for event in meta.events]


def test_a_registration_is_entered_for_the_address_that_sent_it(meta: Any) -> None:
    meta.tell(registration(), RUNTIME)
    [event] = meta.events
    assert isinstance(event, SupervisorRegistered)
    assert (event.supervisor_id, event.address, event.capabilities) == ("runtime_supervisor", RUNTIME, ("Recovery",))


def test_a_second_registration_is_a_heartbeat_unless_something_changed(meta: Any) -> None:
    meta.tell(registration(), RUNTIME)
    meta.tell(registration(), RUNTIME)
    meta.tell(registration(max_tasks=2), RUNTIME)
    assert kinds(meta) == ["SupervisorRegistered", "SupervisorHeard", "SupervisorRegistered"]
    assert meta.state.supervisors["runtime_supervisor"].max_tasks == 2


def test_an_id_belongs_to_one_address_while_that_one_lives(meta: Any) -> None:
    meta.tell(registration(), RUNTIME)
    refusal = meta.tell(registration(), "client/impostor").refusal
    assert refusal is not None
    assert refusal.code == "supervisor_exists"
    meta.advance(30_000)
    assert meta.tell(registration(), "client/heir").refusal is None
    assert meta.state.supervisors["runtime_supervisor"].address == "client/heir"


def test_nobody_registers_as_the_meta_supervisor(meta: Any) -> None:
    refusal = meta.tell(registration("meta_supervisor"), RUNTIME).refusal
    assert refusal is not None
    assert refusal.code == "validation_error"


def test_a_supervisor_that_beats_stays_available(meta: Any) -> None:
    meta.tell(registration(heartbeat_interval_ms=10_000), RUNTIME)
    for _ in range(10):
        meta.advance(10_000)
        meta.tell(BEAT, RUNTIME)
    assert set(kinds(meta)[1:]) == {"SupervisorHeard"}
    assert meta.state.supervisors["runtime_supervisor"].metrics == {"incidents_open": 1.0}


def test_three_intervals_of_silence_make_a_supervisor_unavailable(meta: Any) -> None:
    meta.tell(registration(heartbeat_interval_ms=10_000), RUNTIME)
    meta.advance(29_999)
    assert kinds(meta) == ["SupervisorRegistered"]
    meta.advance(1)
    assert meta.events[-1] == SupervisorLost(supervisor_id="runtime_supervisor", silent_ms=30_000)
    [_, entry] = meta.tell(ListSupervisors()).reply.supervisors
    assert (entry.status, entry.reason) == ("unavailable", "not heard for 30000 ms")


def test_the_tasks_of_a_lost_supervisor_go_to_another_one(meta: Any) -> None:
    meta.tell(registration("first"), "first/main")
    meta.tell(SubmitTask(id="a", type="Recovery", parameters_json='{"component_id":"web"}'))
    meta.tell(TaskOpened(task_id="a"), "task/a")
    meta.advance(15_000)
    meta.tell(registration("second"), "second/main")
    meta.advance(15_000)
    assert kinds(meta)[-3:] == ["SupervisorLost", "TaskReleased", "TaskAssigned"]
    [again] = meta.sent_to("second/main", TaskAssignment)
    assert (again.task_id, again.attempt) == ("a", 2)
    [withdrawn] = meta.sent_to("first/main", TaskCancellation)
    assert (withdrawn.task_id, withdrawn.attempt) == ("a", 1)


def test_the_tasks_of_a_lost_supervisor_wait_for_it_when_there_is_no_other(meta: Any) -> None:
    meta.tell(registration(), RUNTIME)
    meta.tell(SubmitTask(id="a", type="Recovery", parameters_json='{"component_id":"web"}'))
    meta.tell(TaskOpened(task_id="a"), "task/a")
    meta.advance(30_000)
    assert isinstance(meta.events[-1], TaskReleased)
    meta.tell(BEAT, RUNTIME)
    assert kinds(meta)[-2:] == ["SupervisorHeard", "TaskAssigned"]
    assert [each.attempt for each in meta.sent_to(RUNTIME, TaskAssignment)] == [1, 2]
    assert meta.sent_to(RUNTIME, TaskCancellation) == []


def test_a_watcher_that_was_away_itself_gives_one_more_period(meta: Any) -> None:
    meta.tell(registration(heartbeat_interval_ms=10_000), RUNTIME)
    [silence] = [message for _, message in meta.timers.values()]
    meta.timers.clear()
    meta.now += timedelta(hours=3)
    meta.tell(silence, "meta_supervisor/main")
    assert isinstance(meta.events[-1], SupervisorWatchExtended)
    meta.advance(29_999)
    assert isinstance(meta.events[-1], SupervisorWatchExtended)
    meta.advance(1)
    assert isinstance(meta.events[-1], SupervisorLost)


def test_a_heartbeat_of_somebody_who_is_not_registered_is_refused(meta: Any) -> None:
    refusal = meta.tell(BEAT, RUNTIME).refusal
    assert refusal is not None
    assert refusal.code == "supervisor_not_found"
    meta.tell(registration(), RUNTIME)
    assert meta.tell(BEAT, "client/impostor").refusal is not None


def test_a_supervisor_that_leaves_gives_its_tasks_back(meta: Any) -> None:
    meta.tell(registration(), RUNTIME)
    meta.tell(SubmitTask(id="a", type="Recovery", parameters_json='{"component_id":"web"}'))
    meta.tell(TaskOpened(task_id="a"), "task/a")
    meta.tell(SupervisorDeregistration(supervisor_id="runtime_supervisor", reason="maintenance"), RUNTIME)
    assert kinds(meta)[-2:] == ["SupervisorDeregistered", "TaskReleased"]
    assert meta.state.tasks["a"].status == "pending"
    assert not meta.state.supervisors
    assert "silence:runtime_supervisor" not in meta.timers


def test_nobody_deregisters_another_supervisor(meta: Any) -> None:
    meta.tell(registration(), RUNTIME)
    meta.tell(SupervisorDeregistration(supervisor_id="runtime_supervisor"), "client/impostor")
    assert not any(isinstance(event, SupervisorDeregistered) for event in meta.events)


def test_settings_go_to_the_supervisor(meta: Any) -> None:
    meta.tell(registration(), RUNTIME)
    settings = {"heartbeat_interval_ms": "5000"}
    decision = meta.tell(ConfigureSupervisor(supervisor_id="runtime_supervisor", settings=settings))
    assert decision.events == (SupervisorConfigured(supervisor_id="runtime_supervisor", settings=settings),)
    assert list(decision.sends) == [
        send(Address(RUNTIME), SupervisorConfiguration(settings=settings), priority="normal")
    ]


@pytest.mark.parametrize(
    "message", [DescribeSupervisor(supervisor_id="x"), ConfigureSupervisor(supervisor_id="x", settings={})]
)
def test_a_supervisor_that_is_not_there_is_not_found(meta: Any, message: Any) -> None:
    refusal = meta.tell(message).refusal
    assert refusal is not None
    assert refusal.code == "supervisor_not_found"


def test_a_supervisor_is_described_and_the_meta_supervisor_too(meta: Any) -> None:
    meta.tell(registration(), RUNTIME)
    meta.tell(BEAT, RUNTIME)
    assert isinstance(meta.events[-1], SupervisorHeard)
    entry = meta.tell(DescribeSupervisor(supervisor_id="runtime_supervisor")).reply
    assert (entry.status, entry.reason, entry.heard_at) == ("available", "healthy", meta.now)
    itself = meta.tell(DescribeSupervisor(supervisor_id="meta_supervisor")).reply
    assert (itself.supervisor_type, itself.status) == ("meta", "available")
    status = meta.tell(SupervisorStatusRequest()).reply
    assert status.metrics["supervisors_available"] == 1.0
