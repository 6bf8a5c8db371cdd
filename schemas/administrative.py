"""How supervisors join, leave, report and are configured: protocol section 3.1, name by name.

| protocol | record |
| --- | --- |
| `supervisor_registration` | `SupervisorRegistration` |
| `supervisor_deregistration` | `SupervisorDeregistration` |
| `supervisor_heartbeat` | `SupervisorHeartbeat` |
| `supervisor_status_request` | `SupervisorStatusRequest` |
| `supervisor_status_response` | `SupervisorStatusResponse` |
| `supervisor_configuration` | `SupervisorConfiguration` |

Who speaks is the envelope's source: a registration is good for the address that sent it.
"""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from .fleet import Identifier, Milliseconds
from .record import Message, Record


class SupervisorRegistration(Message):
    """`supervisor_registration`: I take these types of task, so many at once, and beat so often.

    Three intervals of silence make a supervisor unavailable.
    """

    supervisor_id: Identifier
    supervisor_type: str
    capabilities: tuple[str, ...] = ()
    max_tasks: Annotated[int, Field(ge=1, le=1_000)] = 8
    heartbeat_interval_ms: Milliseconds = 10_000
    version: str = "1.0"


class SupervisorDeregistration(Message):
    """`supervisor_deregistration`: I leave; my tasks go to others, or wait."""

    supervisor_id: str
    reason: str = ""


class SupervisorHeartbeat(Message):
    """`supervisor_heartbeat`: I live; `status` is `healthy` or `degraded`."""

    supervisor_id: str
    status: str = "healthy"
    active_tasks: Annotated[int, Field(ge=0)] = 0
    metrics: dict[str, float] = {}


class SupervisorStatusResponse(Record):
    """`supervisor_status_response`: one supervisor about itself; counters and gauges by name in `metrics`."""

    supervisor_id: str
    supervisor_type: str
    status: str
    active_tasks: tuple[str, ...] = ()
    settings: dict[str, str] = {}
    metrics: dict[str, float] = {}


class SupervisorStatusRequest(Message[SupervisorStatusResponse]):
    """`supervisor_status_request`: asks a supervisor how it is."""


class SupervisorConfiguration(Message):
    """`supervisor_configuration`: use these settings from now on; an unknown one is refused with the known ones."""

    settings: dict[str, str]


class ConfigureSupervisor(Message):
    """Ask the meta supervisor to send a `supervisor_configuration` to one supervisor."""

    supervisor_id: str
    settings: dict[str, str]


class StartSupervision(Message):
    """Register at the meta supervisor and start beating; harmless when repeated. A node sends it when it starts."""


class StopSupervision(Message):
    """Deregister and stop beating; incidents and tasks stay as they are."""

    reason: str = ""


class SupervisorDescription(Record):
    """What the registry knows of a supervisor; `status` is `available` or `unavailable`, with the `reason`."""

    supervisor_id: str
    supervisor_type: str
    address: str
    status: str
    reason: str = ""
    capabilities: tuple[str, ...] = ()
    active_tasks: tuple[str, ...] = ()
    max_tasks: int
    version: str
    registered_at: datetime | None = None
    heard_at: datetime | None = None
    metrics: dict[str, float] = {}


class SupervisorList(Record):
    """Every supervisor in the registry, the meta supervisor first."""

    supervisors: tuple[SupervisorDescription, ...]


class ListSupervisors(Message[SupervisorList]):
    """Ask the meta supervisor for its registry."""


class DescribeSupervisor(Message[SupervisorDescription]):
    """Ask the meta supervisor for one supervisor; refused with `supervisor_not_found`."""

    supervisor_id: str
