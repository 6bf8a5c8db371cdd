"""The recovery task of the core components document, from submission to result, through all the actors that it meets."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from hms.actors.meta import meta_supervisor
from hms.actors.runtime import runtime_supervisor
from hms.actors.task import parse_task, task
from hms.schemas.administrative import StartSupervision
from hms.schemas.recovery import RecoverComponent, RecoveryOutcome
from hms.schemas.task import CancelTask, GetTask, TaskStatus

DOCUMENT = """
id: "recover_failed_component"
task_type: "Recovery"
priority: "High"
parameters:
  component_id: "api_service"
  failure_reason: "Connection timeout"
  max_retries: 3
  backoff_strategy: "exponential"
dependencies: []
timeout: 60000  # 1 minute
"""
SUBMISSION = parse_task(yaml.safe_load(DOCUMENT), default_id="unused")
TASK = f"task/{SUBMISSION.id}"


class Office:
    """The two supervisors and one task record; what they send each other is delivered in order."""

    def __init__(self, desk: Callable[[Any], Any]) -> None:
        self.desks = {
            "meta_supervisor/main": desk(meta_supervisor),
            "runtime_supervisor/main": desk(runtime_supervisor),
            TASK: desk(task),
        }
        self.orders: list[RecoverComponent] = []
        self._delivered = dict.fromkeys(self.desks, 0)

    def tell(self, address: str, message: Any, sender: str = "client/test") -> Any:
        decision = self.desks[address].tell(message, sender)
        self.deliver()
        return decision.reply

    def deliver(self) -> None:
        for name, desk in self.desks.items():
            while self._delivered[name] < len(desk.sent):
                send = desk.sent[self._delivered[name]]
                self._delivered[name] += 1
                if send.to in self.desks:
                    self.tell(send.to, send.message, name)
                else:
                    self.orders.append(send.message)

    def advance(self, ms: int) -> None:
        for desk in self.desks.values():
            desk.advance(ms)
        self.deliver()

    def answer(self, outcome: str, reason: str = "") -> None:
        """Let the component's group answer the last order."""
        order = self.orders[-1]
        message = RecoveryOutcome(
            component=order.component, incarnation=2, outcome=outcome, reason=reason, task_id=order.task_id
        )
        self.tell("runtime_supervisor/main", message, "group/api")

    @property
    def task(self) -> TaskStatus:
        status: TaskStatus = self.tell(TASK, GetTask())
        return status


@pytest.fixture
def office(desk: Callable[[Any], Any]) -> Office:
    office = Office(desk)
    office.tell("runtime_supervisor/main", StartSupervision())
    return office


def test_it_is_done_when_the_group_has_healed_the_component(office: Office) -> None:
    office.tell("meta_supervisor/main", SUBMISSION)
    assert (office.task.status, office.task.assigned_to) == ("running", "runtime_supervisor")
    office.answer("healed")
    done = office.task
    assert (done.status, done.priority, done.error, done.progress) == ("completed", "high", None, 1.0)
    assert json.loads(done.result_json or "")["outcome"] == "healed"
    assert done.finished_at is not None


def test_it_fails_when_nobody_knows_the_component(office: Office) -> None:
    office.tell("meta_supervisor/main", SUBMISSION)
    office.answer("ignored", "component not found")
    assert (office.task.status, office.task.error) == ("failed", "destination_not_found: component not found")


def test_it_waits_for_a_recovery_that_is_under_way(office: Office) -> None:
    office.tell("meta_supervisor/main", SUBMISSION)
    office.answer("ignored", "already recovering")
    assert "try 2 of 4 in 1000 ms" in office.task.message
    office.advance(1_000)
    assert len(office.orders) == 2
    office.answer("healed")
    assert office.task.status == "completed"


def test_it_times_out_when_nothing_happens(office: Office) -> None:
    office.tell("meta_supervisor/main", SUBMISSION)
    office.desks["runtime_supervisor/main"].timers.clear()
    office.desks["meta_supervisor/main"].timers.pop("silence:runtime_supervisor")
    office.advance(60_000)
    assert office.task.status == "timed_out"
    assert not office.desks["runtime_supervisor/main"].state.tasks, "it was withdrawn"
    office.answer("healed")
    assert office.task.status == "timed_out"


def test_it_is_dropped_when_it_is_cancelled(office: Office) -> None:
    office.tell("meta_supervisor/main", SUBMISSION)
    office.tell("meta_supervisor/main", CancelTask(task_id=SUBMISSION.id, reason="not needed"))
    assert (office.task.status, office.task.error) == ("cancelled", "not needed")
    assert not office.desks["runtime_supervisor/main"].state.recoveries


def test_it_is_not_done_twice_when_its_supervisor_was_silent_for_a_while(office: Office) -> None:
    office.tell("meta_supervisor/main", SUBMISSION)
    heartbeat = office.desks["runtime_supervisor/main"].timers.pop("heartbeat")[1]
    office.advance(30_000)
    assert office.task.status == "pending"
    office.tell("runtime_supervisor/main", heartbeat, "runtime_supervisor/main")
    assert (office.task.status, office.task.attempt) == ("running", 2)
    assert len(office.orders) == 1
    office.answer("healed")
    assert office.task.status == "completed"
