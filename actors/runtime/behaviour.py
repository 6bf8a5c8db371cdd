"""The behaviour `runtime_supervisor`: one actor, `runtime_supervisor/main`."""

from typing import assert_never

from ...core.behaviour import Behaviour, Context
from ...core.decision import Decision
from ...core.runtime.records import MessageRefused
from ...schemas.administrative import (
    StartSupervision,
    StopSupervision,
    SupervisorConfiguration,
    SupervisorStatusRequest,
)
from ...schemas.recovery import HealthNotification, RecoveryNotification, RecoveryOutcome
from ...schemas.supervisor_timer import HeartbeatDue, RecoveryRetryDue, RecoveryUnanswered
from ...schemas.task_protocol import TaskAssignment, TaskCancellation
from . import incidents, life, recovery, tasks
from .fold import RuntimeEvent, evolve
from .state import RuntimeState
from .turn import Turn

LifeMessage = (
    StartSupervision
    | StopSupervision
    | HeartbeatDue
    | SupervisorConfiguration
    | SupervisorStatusRequest
    | MessageRefused
)
WorkMessage = (
    HealthNotification
    | RecoveryNotification
    | RecoveryOutcome
    | RecoveryRetryDue
    | RecoveryUnanswered
    | TaskAssignment
    | TaskCancellation
)
RuntimeMessage = LifeMessage | WorkMessage


def decide(state: RuntimeState, message: RuntimeMessage, context: Context) -> Decision[RuntimeEvent]:
    """Decide on one message; what comes late or twice changes nothing."""
    turn = Turn(state, context)
    match message:
        case (
            StartSupervision()
            | StopSupervision()
            | HeartbeatDue()
            | SupervisorConfiguration()
            | SupervisorStatusRequest()
            | MessageRefused()
        ):
            return _live(turn, message)
        case _:
            return _work(turn, message)


def _live(turn: Turn, message: LifeMessage) -> Decision[RuntimeEvent]:
    match message:
        case StartSupervision():
            return life.start(turn, message)
        case StopSupervision():
            return life.stop(turn, message)
        case HeartbeatDue():
            return life.beat(turn, message)
        case SupervisorConfiguration():
            return life.configure(turn, message)
        case SupervisorStatusRequest():
            return turn.decision(reply=life.status(turn.state))
        case MessageRefused():
            return life.refused(turn, message)
        case _:
            assert_never(message)


def _work(turn: Turn, message: WorkMessage) -> Decision[RuntimeEvent]:  # noqa: PLR0911 - one message, one return
    match message:
        case HealthNotification():
            return incidents.health_changed(turn, message)
        case RecoveryNotification():
            return incidents.group_recovered(turn, message)
        case RecoveryOutcome():
            return recovery.outcome(turn, message)
        case RecoveryRetryDue():
            return recovery.retry(turn, message)
        case RecoveryUnanswered():
            return recovery.unanswered(turn, message)
        case TaskAssignment():
            return tasks.assigned(turn, message)
        case TaskCancellation():
            return tasks.cancelled(turn, message)
        case _:
            assert_never(message)


runtime_supervisor = Behaviour("runtime_supervisor", initial=RuntimeState, decide=decide, evolve=evolve)
