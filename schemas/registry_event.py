"""What happened in the meta supervisor's registry of supervisors."""

from datetime import datetime

from .record import Event


class SupervisorRegistered(Event):
    """A supervisor registered, or registered again with something changed."""

    supervisor_id: str
    supervisor_type: str
    address: str
    capabilities: tuple[str, ...]
    max_tasks: int
    heartbeat_interval_ms: int
    version: str
    at: datetime


class SupervisorHeard(Event):
    """A supervisor was heard; if it was unavailable it is available again."""

    supervisor_id: str
    status: str
    metrics: dict[str, float] = {}
    at: datetime


class SupervisorWatchExtended(Event):
    """The silence was the watcher's own (it was away or late): one more full period before a verdict."""

    supervisor_id: str
    at: datetime


class SupervisorLost(Event):
    """A supervisor was silent for too long: unavailable until it is heard."""

    supervisor_id: str
    silent_ms: int


class SupervisorDeregistered(Event):
    """A supervisor left."""

    supervisor_id: str
    reason: str


class SupervisorConfigured(Event):
    """New settings were sent to a supervisor."""

    supervisor_id: str
    settings: dict[str, str]
