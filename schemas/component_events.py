"""What happened to a component. Every instant is the decision's `now`."""

from datetime import datetime

from .component import Desired, Exit
from .fleet import ComponentSpec
from .record import Event


class ComponentConfigured(Event):
    """The component got (or changed) its specification, group and host."""

    spec: ComponentSpec
    spec_hash: str
    group: str
    host: str
    budget_count: int
    budget_window_ms: int
    at: datetime


class ComponentRemoved(Event):
    """The component is no longer part of the fleet; its incarnation counter is kept."""

    at: datetime


class DesiredChanged(Event):
    """Somebody wishes it up or down."""

    desired: Desired
    at: datetime


class ComponentStartRequested(Event):
    """A new incarnation was drawn and commanded; `healing` starts count as restarts.

    `host`: where (empty: at home). `leased`: it runs only while its host holds a lease for it. `hold_ms`: how long that
    host waits before it starts it, because another one may still be running the incarnation before.
    """

    incarnation: int
    reason: str
    healing: bool
    at: datetime
    host: str = ""
    leased: bool = False
    hold_ms: int = 0


class ComponentStopRequested(Event):
    """The live incarnation was commanded down; its exit is expected."""

    incarnation: int
    reason: str
    requester: str
    kill: bool
    at: datetime


class ComponentHalted(Event):
    """The fleet's session ends: whatever is wished, nothing is started until the next one configures the component."""

    reason: str
    at: datetime


class ComponentStarted(Event):
    """The incarnation's process runs; `restarting` exits come before the attempts after the first."""

    incarnation: int
    attempt: int
    pid: int
    start_ticks: int
    boot_id: str
    session: int
    sequence: int
    at: datetime


class ComponentExited(Event):
    """The incarnation is gone (or never came to be: see `exit.cause`)."""

    exit: Exit
    session: int
    sequence: int


class ComponentMissed(Event):
    """An inventory lacks the live incarnation; its agent is asked again, a second miss counts as an exit."""

    incarnation: int
    session: int
    sequence: int
    at: datetime


class ProbeChanged(Event):
    """A startup, liveness or readiness probe crossed its threshold."""

    incarnation: int
    probe: str
    passed: bool
    message: str
    session: int
    sequence: int
    at: datetime


class LimitExceeded(Event):
    """The component uses more than it may."""

    incarnation: int
    limit: str
    value: float
    bound: float
    message: str
    session: int
    sequence: int
    at: datetime


class ComponentPaused(Event):
    """Healing is held."""

    who: str
    why: str


class ComponentResumed(Event):
    """Healing goes on."""

    who: str
    why: str


class ComponentGivenUp(Event):
    """Its group gave up; nothing restarts it until a reset."""

    reason: str
    at: datetime


class ComponentReset(Event):
    """The giving up was cleared."""

    who: str
    why: str
    at: datetime


class ComponentBecameUnknown(Event):
    """Its host is silent: nobody knows whether it runs, so nobody restarts it."""

    at: datetime


class ComponentBecameKnown(Event):
    """Its host speaks again."""

    at: datetime


class CandidateWentSilent(Event):
    """A host that may take the component over is silent."""

    host: str
    at: datetime


class CandidateReturned(Event):
    """A host that may take the component over speaks again."""

    host: str
    at: datetime


class FencingBegan(Event):
    """Its host is silent and another one is there: the host's actor was asked never to renew the lease again."""

    incarnation: int
    host: str
    at: datetime


class ComponentFenced(Event):
    """No lease will be renewed: the host has ended the incarnation `hold_ms` from now, whether or not it is ever heard."""

    incarnation: int
    host: str
    hold_ms: int
    at: datetime


class StaleReportIgnored(Event):
    """A report of an incarnation that is not the current one came in; it changed nothing."""

    report: str
    incarnation: int
    current: int


class StrayFound(Event):
    """The agent runs an incarnation beyond every one drawn here (an older log's); the counter moves on."""

    incarnation: int
    at: datetime
    host: str = ""


class WatcherAdded(Event):
    """Another group's members depend on this component and want to hear of it."""

    watcher: str


class WatcherRemoved(Event):
    """That group no longer depends on this component."""

    watcher: str
