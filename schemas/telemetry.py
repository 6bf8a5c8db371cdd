"""Measurements of others, brought in from outside: a series (component, metric) that grows at its end only."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from .record import Event, Message, Record

MetricName = Annotated[str, Field(min_length=1, max_length=200)]
SAMPLES_MAX = 1_000


class Sample(Record):
    """One measurement; `value` is None where nothing was measured, which is recorded too."""

    at: datetime
    value: float | None


class SamplesTaken(Record):
    """What became of an import: so many are new; the others are not behind what the series ends with, and left out."""

    taken: int
    left_out: int


class ImportSamples(Message[SamplesTaken]):
    """To `telemetry/COMPONENT`: append samples, in order of time, to one metric's series.

    What is at or before the instant with which the series ends is left out, so the same file imported again adds nothing.
    """

    metric: MetricName
    samples: Annotated[tuple[Sample, ...], Field(min_length=1, max_length=SAMPLES_MAX)]


class SamplesImported(Event):
    """A series has grown by these samples, in order of time."""

    component: str
    metric: str
    samples: tuple[Sample, ...]
