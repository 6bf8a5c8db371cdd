"""The behaviour `analysis_supervisor`: one actor, `analysis_supervisor/main`."""

from typing import TypeAlias, assert_never

from ....core.behaviour import Behaviour, Context, on
from ....core.decision import Decision
from ....core.runtime.records import EffectFailed, MessageRefused
from ....schemas.administrative import (
    StartSupervision,
    StopSupervision,
    SupervisorConfiguration,
    SupervisorStatusRequest,
)
from ....schemas.analysis import (
    AcknowledgeAlert,
    AnalysisHeartbeatDue,
    FindCauses,
    LookDue,
    LookNow,
    MetricsQuery,
    SilenceAlerts,
    SilenceOver,
)
from ....schemas.analysis_event import AnalysisTaskAccepted, CausesAsked, LookAsked, MetricsAsked
from ....schemas.analysis_look import AnalysisFound, CausesFound, LookTaken, MetricsFound
from ....schemas.task_protocol import TaskAssignment, TaskCancellation
from ..looking.effects import analyse, answer, look, rank
from . import alerts, life, looks, questions, tasks
from .fold import AnalysisEvent, evolve
from .state import AnalysisState
from .turn import Turn

LifeMessage: TypeAlias = (
    StartSupervision
    | StopSupervision
    | AnalysisHeartbeatDue
    | SupervisorConfiguration
    | SupervisorStatusRequest
    | MessageRefused
)
AskedMessage: TypeAlias = (
    LookDue
    | LookNow
    | MetricsQuery
    | FindCauses
    | AcknowledgeAlert
    | SilenceAlerts
    | SilenceOver
    | TaskAssignment
    | TaskCancellation
)
FoundMessage: TypeAlias = LookTaken | MetricsFound | CausesFound | AnalysisFound | EffectFailed
AnalysisMessage: TypeAlias = LifeMessage | AskedMessage | FoundMessage


def decide(state: AnalysisState, message: AnalysisMessage, context: Context) -> Decision[AnalysisEvent]:
    """Decide on one message; what comes late or twice changes nothing."""
    turn = Turn(state, context)
    match message:
        case LookTaken() | MetricsFound() | CausesFound() | AnalysisFound() | EffectFailed():
            return _found(turn, message)
        case (
            StartSupervision()
            | StopSupervision()
            | AnalysisHeartbeatDue()
            | SupervisorConfiguration()
            | SupervisorStatusRequest()
            | MessageRefused()
        ):
            return _live(turn, message)
        case _:
            return _asked(turn, message)


def _live(turn: Turn, message: LifeMessage) -> Decision[AnalysisEvent]:
    match message:
        case StartSupervision():
            return life.start(turn, message)
        case StopSupervision():
            return life.stop(turn, message)
        case AnalysisHeartbeatDue():
            return life.beat(turn, message)
        case SupervisorConfiguration():
            return life.configure(turn, message)
        case SupervisorStatusRequest():
            return turn.decision(reply=life.status(turn.state))
        case MessageRefused():
            return life.refused(turn, message)
        case _:
            assert_never(message)


def _asked(turn: Turn, message: AskedMessage) -> Decision[AnalysisEvent]:  # noqa: PLR0911 - one message, one return
    match message:
        case LookDue() | LookNow():
            return looks.look(turn, message)
        case MetricsQuery():
            return questions.ask_metrics(turn, message)
        case FindCauses():
            return questions.ask_causes(turn, message)
        case AcknowledgeAlert():
            return alerts.acknowledge(turn, message)
        case SilenceAlerts():
            return alerts.silence(turn, message)
        case SilenceOver():
            return alerts.silence_over(turn, message)
        case TaskAssignment():
            return tasks.assigned(turn, message)
        case TaskCancellation():
            return tasks.cancelled(turn, message)
        case _:
            assert_never(message)


def _found(turn: Turn, message: FoundMessage) -> Decision[AnalysisEvent]:
    match message:
        case LookTaken():
            return looks.taken(turn, message)
        case MetricsFound():
            return questions.answer_metrics(turn, message)
        case CausesFound():
            return questions.answer_causes(turn, message)
        case AnalysisFound():
            return tasks.found(turn, message)
        case EffectFailed():
            is_look = message.event.rpartition(".")[2] == "LookAsked"
            return looks.failed(turn, message.error) if is_look else turn.decision()
        case _:
            assert_never(message)


analysis_supervisor = Behaviour(
    "analysis_supervisor",
    initial=AnalysisState,
    decide=decide,
    evolve=evolve,
    effects=[on(LookAsked, look), on(MetricsAsked, answer), on(CausesAsked, rank), on(AnalysisTaskAccepted, analyse)],
)
