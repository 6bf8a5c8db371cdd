"""What happened at the analysis supervisor. Its life is told by the events that all supervisors have."""

from datetime import datetime

from .analysis import Evidence, RankedCause
from .analysis_look import PlaceEnd
from .record import Event


class LookAsked(Event):
    """Look at what has come between `since` and the instant `as_of`; an effect does.

    Bounds: `series_max` series, `samples_max` samples, `cpu_ms` of processor time. `seek`: look for opportunities, too.
    """

    look: int
    as_of: datetime
    since: tuple[PlaceEnd, ...]
    bucket_ms: int
    series_max: int
    samples_max: int
    cpu_ms: int
    seek: bool


class LookEnded(Event):
    """The look has looked at all below `positions`; `behind`: that is not all of `as_of` yet."""

    look: int
    as_of: datetime
    positions: tuple[PlaceEnd, ...]
    behind: bool
    samples: int
    series: int
    left_out: int
    onsets_left_out: int
    cpu_ms: int
    sought: bool


class LookFailed(Event):
    """The look came to nothing, for good; the next one goes on where the one before it ended."""

    look: int
    reason: str


class AlertRaised(Event):
    """An anomaly began; a silenced one is told to nobody yet."""

    alert_id: str
    component: str
    metric: str
    at: datetime
    value: float
    score: float
    silenced: bool
    look: int
    as_of: datetime


class AlertRepeated(Event):
    """An anomaly that lasts has renewed itself."""

    alert_id: str
    at: datetime
    value: float
    score: float
    as_of: datetime


class AlertEnded(Event):
    """The anomaly is over, as of that instant."""

    alert_id: str
    as_of: datetime


class AlertAcknowledged(Event):
    """Somebody has seen it."""

    alert_id: str
    by: str
    note: str
    at: datetime


class AlertsSilenced(Event):
    """No alerts of a component's metric (empty: any) until then."""

    silence_id: str
    component: str
    metric: str
    until: datetime
    by: str
    reason: str


class SilenceEnded(Event):
    """A silence is over; `told` are the alerts that last, and are told now."""

    silence_id: str
    told: tuple[str, ...]


class TrendDetected(Event):
    """A series began to move up or down; see `TrendDetection`."""

    component: str
    metric: str
    direction: str
    slope: float
    change: float
    level: float
    p: float
    buckets: int
    bucket_ms: int
    as_of: datetime


class TrendEnded(Event):
    """A series moves no more."""

    component: str
    metric: str
    as_of: datetime


class PatternDetected(Event):
    """A pattern was seen; see `PatternDetection`."""

    component: str
    metric: str
    pattern: str
    at: datetime | None
    before: float | None
    after: float | None
    strength: float | None
    as_of: datetime


class OpportunityFound(Event):
    """Something could be better; see `ImprovementOpportunity`."""

    name: str
    component: str
    summary: str
    evidence: Evidence
    as_of: datetime


class MetricsAsked(Event):
    """Somebody asks for figures; an effect looks for them."""

    query_id: str
    asker: str
    components: tuple[str, ...]
    metrics: tuple[str, ...]
    time_range_minutes: int
    as_of: datetime


class MetricsAnswered(Event):
    """The asker has the figures, or the error."""

    query_id: str
    series: int
    error: str


class CausesAsked(Event):
    """Somebody asks why; an effect ranks the components."""

    request_id: str
    incident_id: str
    asker: str
    as_of: datetime


class CausesRanked(Event):
    """The components by how likely each is at the root of an incident, the likeliest first, with the evidence.

    Of `incident_id`, the incident of `component` whose symptom was seen at `seen_at`.
    """

    request_id: str
    incident_id: str
    component: str
    seen_at: datetime | None
    as_of: datetime
    ranking: tuple[RankedCause, ...]


class CausesNotRanked(Event):
    """There is no ranking, for this reason."""

    request_id: str
    incident_id: str
    reason: str


class AnalysisTaskAccepted(Event):
    """An analysis task was taken on; an effect does it."""

    task_id: str
    attempt: int
    components: tuple[str, ...]
    metrics: tuple[str, ...]
    time_range_minutes: int
    generate_report: bool
    as_of: datetime


class AnalysisTaskAssignedAgain(Event):
    """The same task came with a greater attempt: the work goes on under it."""

    task_id: str
    attempt: int


class AnalysisTaskRejected(Event):
    """A task was not taken on."""

    task_id: str
    error_code: str
    reason: str


class AnalysisTaskEnded(Event):
    """A task was reported: `error_code` empty means done, with `text` the result (JSON), else `text` is the error."""

    task_id: str
    error_code: str
    text: str


class AnalysisTaskCancelled(Event):
    """A task is not wanted any more, up to this attempt; `early` means that it had not come yet."""

    task_id: str
    attempt: int
    reason: str
    early: bool
