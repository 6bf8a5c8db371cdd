"""What the analysis supervisor knows: how far it has looked, alerts and silences, what it has told, and who waits for it."""

from datetime import datetime
from typing import Final

from ....schemas.analysis import AlertStatus, Silence
from ....schemas.analysis_look import PlaceEnd
from ....schemas.record import Record, State

ANALYSIS_ID: Final = "analysis_supervisor"
MAX_TASKS: Final = 4
ALERTS_MAX: Final = 500
"""Alerts that are remembered; beyond it the oldest ended ones are forgotten, then the oldest."""
REMEMBERED_MAX: Final = 64
"""Ended tasks and early cancellations that are remembered, and questions that wait."""
SERIES_MAX: Final = 10_000
"""Series of which what was told is remembered."""
DEFAULTS: Final = {
    "heartbeat_interval_ms": "30000",
    "look_every_ms": "0",
    "bucket_ms": "300000",
    "series_max": "1000",
    "samples_max": "200000",
    "cpu_ms": "30000",
    "seek_every_ms": "3600000",
}
"""`look_every_ms` 0: no looks but those asked for, so that a fleet which never asks pays nothing."""
BOUNDS: Final = {
    "heartbeat_interval_ms": (1_000, 3_600_000),
    "look_every_ms": (0, 86_400_000),
    "bucket_ms": (1_000, 86_400_000),
    "series_max": (1, SERIES_MAX),
    "samples_max": (2_000, 10_000_000),
    "cpu_ms": (1_000, 600_000),
    "seek_every_ms": (0, 604_800_000),
}


class Look(Record):
    """A look that is under way."""

    number: int
    as_of: datetime


class LastLook(Record):
    """How the last look ended; `error` is empty unless it failed."""

    number: int
    at: datetime | None = None
    samples: int = 0
    series: int = 0
    left_out: int = 0
    behind: bool = False
    cpu_ms: int = 0
    error: str = ""


class Told(Record):
    """The last thing of a kind that was told of a series."""

    component: str
    metric: str
    what: str
    at: datetime


class AnalysisTask(Record):
    """A task taken on."""

    id: str
    attempt: int


class EndedTask(Record):
    """How a task ended, in case it is assigned again because the report had not been heard yet."""

    id: str
    error_code: str
    text: str


class EarlyCancellation(Record):
    """A cancellation that came before its assignment."""

    id: str
    attempt: int


class Asked(Record):
    """Somebody who waits for an answer; `subject` is the incident's id where causes are asked for."""

    id: str
    asker: str
    subject: str
    as_of: datetime


class AnalysisState(State):
    """The fold; `told` is keyed by kind and series (see `series_key`)."""

    started: bool = False
    settings: dict[str, str] = DEFAULTS
    look: Look | None = None
    last_look: LastLook = LastLook(number=0)
    positions: tuple[PlaceEnd, ...] = ()
    sought_at: datetime | None = None
    alerts: dict[str, AlertStatus] = {}
    silences: dict[str, Silence] = {}
    told: dict[str, Told] = {}
    queries: tuple[Asked, ...] = ()
    causes: tuple[Asked, ...] = ()
    tasks: dict[str, AnalysisTask] = {}
    ended: tuple[EndedTask, ...] = ()
    cancelled: tuple[EarlyCancellation, ...] = ()
    counters: dict[str, int] = {}

    def setting(self, name: str) -> int:
        """Return a setting."""
        return int(self.settings.get(name, DEFAULTS[name]))

    def open_alert(self, component: str, metric: str) -> AlertStatus | None:
        """Return the alert of a series that is not over."""
        return next((one for one in self.open_alerts() if (one.component, one.metric) == (component, metric)), None)

    def open_alerts(self) -> list[AlertStatus]:
        """Return the alerts that are not over, oldest first."""
        return [one for one in self.alerts.values() if one.status == "open"]

    def is_silenced(self, component: str, metric: str, now: datetime) -> bool:
        """Tell whether a silence covers a series."""
        return any(
            one.until > now and one.component in {"", component} and one.metric in {"", metric}
            for one in self.silences.values()
        )


def series_key(kind: str, component: str, metric: str) -> str:
    """Return the place of what was told of a series."""
    return f"{kind} {component} {metric}"
