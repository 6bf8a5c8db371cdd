"""A host: what its agent says is there, against what should be. Addressed to `host/HOSTID`."""

from datetime import datetime

from .record import Event, Message, Record


class Expectation(Record):
    """What should be on the host for one component."""

    incarnation: int
    up: bool


class HostStatus(Record):
    """A host as its actor knows it. `state`: unknown (never heard), alive, silent.

    `leases` maps components that may fail over to the incarnation for which the host holds the lease.
    """

    id: str
    state: str
    fleet: str
    boot_id: str
    session: int
    since: datetime | None
    components: int
    leases: dict[str, int] = {}


class ReportInventory(Message):
    """The agent to its host, on connect and every `period_ms`: the live incarnation of every component it runs."""

    fleet: str
    session: int
    sequence: int
    boot_id: str
    period_ms: int = 5_000
    connected: bool = False
    running: dict[str, int] = {}


class RenewLease(Message):
    """Host to its agent, the answer to the inventory `sequence` of `session`: run these incarnations for `lease_ms` more.

    Counted from when the agent sent that inventory, on its own boot clock; without an answer each of them ends then.
    """

    session: int
    sequence: int
    lease_ms: int
    components: dict[str, int]


class BindComponent(Message):
    """Component to host: this is what should be there for me; `leased`: only for as long as you renew its lease."""

    component: str
    incarnation: int
    up: bool
    leased: bool = False


class UnbindComponent(Message):
    """Component to host: I am no longer here."""

    component: str


class WithdrawLease(Message):
    """Component to its silent host: renew this incarnation's lease never again; answered by `ReportLeaseWithdrawn`."""

    component: str
    incarnation: int


class ReportLeaseWithdrawn(Message):
    """Host to component: no lease of that incarnation will be renewed; the last one is over `lease_ms` from now."""

    host: str
    incarnation: int
    lease_ms: int


class JudgeSilence(Message):
    """A host's timer: three periods without an inventory. `due_us`: when it should have rung (micros UTC)."""

    session: int
    span_ms: int
    due_us: int


class DescribeHost(Message[HostStatus]):
    """Ask for the status. Refused `not_found`."""


class ReportDifference(Message):
    """Host to component: an inventory differs from what should be there; `running` is the live incarnation or 0."""

    host: str
    session: int
    sequence: int
    boot_id: str
    running: int


class ReportSilence(Message):
    """Host to component: the agent is silent, or speaks again."""

    host: str
    silent: bool


class ComponentBound(Event):
    """What should be there for a component changed."""

    component: str
    incarnation: int
    up: bool
    leased: bool = False


class LeaseWithdrawn(Event):
    """From here on the incarnation gets no lease: its component may be started elsewhere once the last one is over."""

    component: str
    incarnation: int
    at: datetime


class ComponentUnbound(Event):
    """Nothing should be there for that component any more."""

    component: str


class HostConnected(Event):
    """An agent connected, or connected anew; a changed boot id means that the machine was started anew."""

    fleet: str
    session: int
    boot_id: str
    at: datetime
    period_ms: int = 5_000


class HostWentSilent(Event):
    """Three periods without a word: its components are unknown, none is restarted."""

    session: int
    at: datetime


class HostReturned(Event):
    """The agent speaks again."""

    session: int
    at: datetime
