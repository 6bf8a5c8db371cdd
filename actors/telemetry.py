"""The series of a component that are brought in from outside, `telemetry/COMPONENT`: each grows at its end only."""

from datetime import datetime
from typing import Final

from ..core.behaviour import Behaviour, Context
from ..core.decision import Decision, accept, refuse
from ..schemas.record import State
from ..schemas.telemetry import ImportSamples, Sample, SamplesImported, SamplesTaken

METRICS_MAX: Final = 1_000
"""So many metrics a component may have; each keeps an instant in the actor's state."""


class Telemetry(State):
    """Of each metric: the instant of its newest sample."""

    newest: dict[str, datetime] = {}


def decide(state: Telemetry, message: ImportSamples, context: Context) -> Decision[SamplesImported]:
    """Take what is behind the series' end; what is not is there already, or comes too late to be in order."""
    if message.metric not in state.newest and len(state.newest) >= METRICS_MAX:
        return refuse("validation_error", f"expected at most {METRICS_MAX} metrics of {context.actor}")
    taken = _behind(message.samples, state.newest.get(message.metric))
    reply = SamplesTaken(taken=len(taken), left_out=len(message.samples) - len(taken))
    if not taken:
        return accept(reply=reply)
    component = context.actor.partition("/")[2]
    return accept(SamplesImported(component=component, metric=message.metric, samples=taken), reply=reply)


def evolve(state: Telemetry, event: SamplesImported) -> Telemetry:
    """Remember where the series ends."""
    return Telemetry(newest={**state.newest, event.metric: event.samples[-1].at})


def _behind(samples: tuple[Sample, ...], newest: datetime | None) -> tuple[Sample, ...]:
    found: list[Sample] = []
    for sample in samples:
        if newest is None or sample.at > newest:
            found.append(sample)
            newest = sample.at
    return tuple(found)


telemetry = Behaviour("telemetry", initial=Telemetry, decide=decide, evolve=evolve)
