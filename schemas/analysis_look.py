"""What comes back from the analysis supervisor's effects: what a look, a query, a task, a question for causes has found."""

from datetime import datetime

from .analysis import Evidence, MetricsResponse, RankedCause
from .record import Message, Record


class PlaceEnd(Record):
    """Everything of a partition of a topic below `next` has been looked at."""

    topic: str
    shard: int
    next: int


class SeriesName(Record):
    """One metric of one component."""

    component: str
    metric: str


class Onset(Record):
    """An anomaly began in a series."""

    component: str
    metric: str
    at: datetime
    value: float
    score: float


class Heading(Record):
    """A series that moves up or down, as in `TrendDetection`."""

    component: str
    metric: str
    direction: str
    slope: float
    change: float
    level: float
    p: float
    buckets: int


class Pattern(Record):
    """A pattern of a series, as in `PatternDetection`."""

    component: str
    metric: str
    pattern: str
    at: datetime | None = None
    before: float | None = None
    after: float | None = None
    strength: float | None = None


class Opportunity(Record):
    """Something that could be better, as in `ImprovementOpportunity`."""

    name: str
    component: str
    summary: str
    evidence: Evidence


class LookTaken(Message):
    """A look is over: what lies below `positions` has been looked at, all of `as_of` unless it is `behind`.

    `onsets` are new; `lasting` are all series that are anomalous at its end. `samples` were new, of `series`; `left_out` series
    are more than may be looked at, `onsets_left_out` and `headings_left_out` more than a message holds.
    """

    look: int
    as_of: datetime
    positions: tuple[PlaceEnd, ...]
    behind: bool
    samples: int
    series: int
    left_out: int
    cpu_ms: int
    onsets: tuple[Onset, ...] = ()
    onsets_left_out: int = 0
    lasting: tuple[SeriesName, ...] = ()
    headings: tuple[Heading, ...] = ()
    headings_left_out: int = 0
    patterns: tuple[Pattern, ...] = ()
    opportunities: tuple[Opportunity, ...] | None = None


class MetricsFound(Message):
    """A query's answer."""

    response: MetricsResponse


class AnalysisFound(Message):
    """An analysis task's result, as JSON, and in a sentence; without one, `error` says why."""

    task_id: str
    as_of: datetime
    summary: str = ""
    result_json: str = "{}"
    error: str = ""


class CausesFound(Message):
    """A ranking by what was known at `as_of`, the likeliest first; without one, `error` says why."""

    request_id: str
    as_of: datetime
    component: str = ""
    seen_at: datetime | None = None
    ranking: tuple[RankedCause, ...] = ()
    error: str = ""
