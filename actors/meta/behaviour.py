"""The behaviour `meta_supervisor`: one actor, `meta_supervisor/main`."""

from typing import assert_never

from ...core.behaviour import Behaviour, Context
from ...core.decision import Decision
from ...schemas.administrative import (
    ConfigureSupervisor,
    DescribeSupervisor,
    ListSupervisors,
    SupervisorDeregistration,
    SupervisorHeartbeat,
    SupervisorRegistration,
    SupervisorStatusRequest,
)
from ...schemas.supervisor_timer import SupervisorSilent, TaskDeadlineReached, TaskDue
from ...schemas.task import CancelTask, ListTasks, SubmitTask
from ...schemas.task_protocol import TaskAcceptance, TaskCompletion, TaskFailure, TaskProgress, TaskRejection
from ...schemas.task_record import TaskExists, TaskOpened
from . import admission, ending, registry, reports, schedule
from .answers import meta_status, supervisor_list, task_list
from .fold import MetaEvent, evolve
from .state import MetaState
from .turn import Turn

RegistryMessage = (
    SupervisorRegistration
    | SupervisorDeregistration
    | SupervisorHeartbeat
    | SupervisorSilent
    | ConfigureSupervisor
    | DescribeSupervisor
    | ListSupervisors
    | SupervisorStatusRequest
)
QueueMessage = SubmitTask | CancelTask | ListTasks | TaskOpened | TaskExists | TaskDue | TaskDeadlineReached
ReportMessage = TaskAcceptance | TaskRejection | TaskProgress | TaskCompletion | TaskFailure
MetaMessage = RegistryMessage | QueueMessage | ReportMessage


def decide(state: MetaState, message: MetaMessage, context: Context) -> Decision[MetaEvent]:
    """Decide on one message; what comes late, or twice, or from the wrong one, changes nothing."""
    turn = Turn(state, context)
    match message:
        case (
            SubmitTask() | CancelTask() | ListTasks() | TaskOpened() | TaskExists() | TaskDue() | TaskDeadlineReached()
        ):
            return _decide_queue(turn, message)
        case TaskAcceptance() | TaskRejection() | TaskProgress() | TaskCompletion() | TaskFailure():
            return _decide_report(turn, message)
        case _:
            return _decide_registry(turn, message)


def _decide_queue(turn: Turn, message: QueueMessage) -> Decision[MetaEvent]:  # noqa: PLR0911 - one message, one return
    match message:
        case SubmitTask():
            return admission.submit(turn, message)
        case CancelTask():
            return ending.cancel_task(turn, message)
        case ListTasks():
            return turn.decision(reply=task_list(turn.state))
        case TaskOpened():
            return admission.opened(turn, message)
        case TaskExists():
            return admission.exists(turn, message)
        case TaskDue():
            return schedule.due(turn, message)
        case TaskDeadlineReached():
            return ending.deadline_reached(turn, message)
        case _:
            assert_never(message)


def _decide_report(turn: Turn, message: ReportMessage) -> Decision[MetaEvent]:
    match message:
        case TaskAcceptance():
            return reports.accepted(turn, message)
        case TaskRejection():
            return reports.rejected(turn, message)
        case TaskProgress():
            return reports.progressed(turn, message)
        case TaskCompletion():
            return reports.completed(turn, message)
        case TaskFailure():
            return reports.failed(turn, message)
        case _:
            assert_never(message)


def _decide_registry(turn: Turn, message: RegistryMessage) -> Decision[MetaEvent]:  # noqa: PLR0911 - one message, one return
    match message:
        case SupervisorRegistration():
            return registry.register(turn, message)
        case SupervisorDeregistration():
            return registry.deregister(turn, message)
        case SupervisorHeartbeat():
            return registry.heartbeat(turn, message)
        case SupervisorSilent():
            return registry.silent(turn, message)
        case ConfigureSupervisor():
            return registry.configure(turn, message)
        case DescribeSupervisor():
            return registry.describe_one(turn, message)
        case ListSupervisors():
            return turn.decision(reply=supervisor_list(turn.state))
        case SupervisorStatusRequest():
            return turn.decision(reply=meta_status(turn.state))
        case _:
            assert_never(message)


meta_supervisor = Behaviour("meta_supervisor", initial=MetaState, decide=decide, evolve=evolve)
