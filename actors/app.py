"""HMS's own application: what every node runs, whatever else it runs."""

from typing import Final

from ..core.app import App
from ..schemas.component_reports import ComponentCommand, RunHook
from ..schemas.host import RenewLease
from .analysis.supervisor import analysis_supervisor
from .audit import audit
from .component import component
from .fleet.behaviour import fleet
from .group import group
from .hosts import host
from .meta import meta_supervisor
from .runtime import runtime_supervisor
from .task import task
from .telemetry import telemetry
from .topic import topic

hms_app: Final = App(
    "hms",
    component,
    group,
    host,
    fleet,
    meta_supervisor,
    runtime_supervisor,
    task,
    audit,
    telemetry,
    topic,
    analysis_supervisor,
    outside=(ComponentCommand, RunHook, RenewLease),
)
