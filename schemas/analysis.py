"""What the analysis supervisor is asked, answers and tells: protocol sections 3.5 and 3.6, name by name.

| protocol | record |
| --- | --- |
| `metrics_query` | `MetricsQuery` |
| `metrics_response` | `MetricsResponse` |
| `analysis_result` | `AnalysisResult` |
| `pattern_detection` | `PatternDetection` |
| `anomaly_detection` | `AnomalyDetection` |
| `trend_detection` | `TrendDetection` |

The last four, and `ImprovementOpportunity`, go to `topic/analysis`, and from there to who subscribed.
"""

from datetime import datetime
from typing import Annotated, Final

from pydantic import Field

from .record import Message, Record

ALL: Final = "all"
Minutes = Annotated[int, Field(ge=1, le=525_600)]
Names = Annotated[tuple[str, ...], Field(min_length=1, max_length=100)]
"""Components or metrics; `all` is every one."""


class MetricsRequested(Record):
    """A query was taken on; its `MetricsResponse` goes to the sender."""

    query_id: str


class MetricsQuery(Message[MetricsRequested]):
    """`metrics_query`: how have these metrics been? The answer is a `MetricsResponse` to the sender, when it is found.

    A metric is named as it is, or by what it measures: `cpu`, `memory`, `response_time`, `error_rate`.
    """

    components: Names = (ALL,)
    metrics: Names = (ALL,)
    time_range_minutes: Minutes = 60


class MetricFigures(Record):
    """One series in a window of time: `samples` came, of which `measured` had a value; the rest is None without any."""

    component: str
    metric: str
    samples: int
    measured: int
    last_at: datetime
    last: float | None
    minimum: float | None
    median: float | None
    p95: float | None
    maximum: float | None


class MetricsResponse(Message):
    """`metrics_response`: the figures of [`from_at`, `as_of`), the query's `query_id` being its message's id.

    `left_out` series were more than an answer holds; `error` says why there is no answer.
    """

    query_id: str
    from_at: datetime
    as_of: datetime
    series: tuple[MetricFigures, ...] = ()
    left_out: int = 0
    error: str = ""


class Evidence(Record):
    """What something was concluded from: a query that `hms sql` takes, its window, and what it answered.

    `query` names the window itself; `rows` were found, of which `rows_json` holds the ones that matter (a JSON array).
    """

    query: str
    from_at: datetime
    until: datetime
    rows: int
    rows_json: str


class AnomalyDetection(Message):
    """`anomaly_detection`: an anomaly began in a series; told once while it lasts, and again if it renews itself."""

    alert_id: str
    component: str
    metric: str
    at: datetime
    value: float
    score: float
    as_of: datetime


class TrendDetection(Message):
    """`trend_detection`: a series moves `up` or `down`: Theil-Sen's `slope` per second, Mann-Kendall's `p`.

    `change` is over the whole time looked at: `buckets` medians of `bucket_ms` each, the median of all being `level`.
    """

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


class PatternDetection(Message):
    """`pattern_detection`: `level_shift` (at an instant, from `before` to `after`), `daily` or `weekly` (of this `strength`)."""

    component: str
    metric: str
    pattern: str
    at: datetime | None = None
    before: float | None = None
    after: float | None = None
    strength: float | None = None
    as_of: datetime


class ImprovementOpportunity(Message):
    """Something that could be better, by its name, with what says so."""

    name: str
    component: str
    summary: str
    evidence: Evidence
    as_of: datetime


class AnalysisResult(Message):
    """`analysis_result`: what an analysis found; `task_id` is that of the task which asked, or None."""

    task_id: str | None
    as_of: datetime
    summary: str
    result_json: str = "{}"


class LookNow(Message):
    """Look at once, whatever the period; harmless while a look is under way."""


class AlertStatus(Record):
    """An alert: `status` is open or ended; acknowledged by whom, or None."""

    id: str
    component: str
    metric: str
    status: str
    at: datetime
    value: float
    score: float
    times: int
    ended_at: datetime | None = None
    silenced: bool = False
    acknowledged_by: str | None = None
    note: str = ""


class AcknowledgeAlert(Message[AlertStatus]):
    """Somebody has seen it: no more of it while it lasts. Refused with `alert_not_found`."""

    alert_id: str
    note: Annotated[str, Field(max_length=1_000)] = ""


class Silence(Record):
    """No alerts of a component's metric until then; an empty name is any."""

    id: str
    component: str
    metric: str
    until: datetime
    by: str
    reason: str


class SilenceAlerts(Message[Silence]):
    """Tell no alerts of a component's metric (empty: any) for a time; what lasts when it is over is told then."""

    component: str = ""
    metric: str = ""
    for_ms: Annotated[int, Field(ge=1_000, le=31_536_000_000)]
    reason: Annotated[str, Field(max_length=1_000)] = ""


class CausesRequested(Record):
    """The ranking comes as the event `CausesRanked` or `CausesNotRanked` with this id."""

    request_id: str


class FindCauses(Message[CausesRequested]):
    """Rank the components by how likely each is at the root of an incident."""

    incident_id: Annotated[str, Field(min_length=1, max_length=200)]


class RankedCause(Record):
    """A component in a ranking, the likeliest first; `evidence_json` is an array of objects."""

    component: str
    score: float
    evidence_json: str


class LookDue(Message):
    """From the analysis supervisor's timer: look."""


class AnalysisHeartbeatDue(Message):
    """From the analysis supervisor's timer: beat."""


class SilenceOver(Message):
    """From the analysis supervisor's timer: a silence is over."""

    silence_id: str
