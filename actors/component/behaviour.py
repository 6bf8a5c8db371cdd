"""The behaviour `component`: it draws incarnations, commands its host and tells its group what became of it."""

from typing import TypeAlias, assert_never

from ...core.behaviour import Behaviour, Context
from ...core.decision import Decision, accept
from ...schemas.component import (
    DescribeComponent,
    PauseComponent,
    ResetComponent,
    RestartComponent,
    ResumeComponent,
    StartComponent,
    StopComponent,
)
from ...schemas.component_reports import (
    ComponentHeartbeat,
    ReportExit,
    ReportLimit,
    ReportProbe,
    ReportStarted,
    ReportStartFailed,
)
from ...schemas.host import ReportDifference, ReportLeaseWithdrawn, ReportSilence
from ...schemas.member import (
    ConfigureComponent,
    GiveUpMember,
    RemoveComponent,
    RepeatHealthNotification,
    ResendCommand,
    ResetMember,
    StartMember,
    StopMember,
    UnwatchComponent,
    WatchComponent,
)
from ...schemas.recovery import RecoverComponent
from .evolve import ComponentEvent, evolve
from .facts import Report, Watch, decide_report, decide_watch
from .membership import Membership, decide_membership
from .state import ComponentState
from .wishes import Wish, decide_wish

ComponentMessage: TypeAlias = Wish | Membership | Report | Watch | ComponentHeartbeat


def decide(state: ComponentState, message: ComponentMessage, context: Context) -> Decision[ComponentEvent]:
    """Decide about any message; who may say it is the concern of authorisation."""
    match message:
        case ComponentHeartbeat():  # first, because it comes by the thousand
            return accept()
        case (
            StartComponent()
            | StopComponent()
            | RestartComponent()
            | PauseComponent()
            | ResumeComponent()
            | ResetComponent()
            | DescribeComponent()
        ):
            return decide_wish(state, message, context)
        case (
            ConfigureComponent()
            | RemoveComponent()
            | StartMember()
            | StopMember()
            | GiveUpMember()
            | ResetMember()
            | WatchComponent()
            | UnwatchComponent()
            | RecoverComponent()
        ):
            return decide_membership(state, message, context)
        case ReportStarted() | ReportStartFailed() | ReportExit() | ReportProbe() | ReportLimit():
            return decide_report(state, message, context)
        case (
            ReportDifference() | ReportSilence() | ReportLeaseWithdrawn() | ResendCommand() | RepeatHealthNotification()
        ):
            return decide_watch(state, message, context)
        case _:
            assert_never(message)


component = Behaviour("component", initial=ComponentState, decide=decide, evolve=evolve)
