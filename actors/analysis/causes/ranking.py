"""Rank the components by how likely they are at the root of an incident, each with its evidence.

What a component does to itself (CPU, memory, disk, sockets) shows in its own metrics; what it does to others (answers
that are late or wrong) shows in its own and in those of its callers. So an answer that got worse speaks against a
component only as far as nothing that it calls got as bad; and who is disturbed first, disturbs the others.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from . import evidence
from .graph import CallGraph
from .shift import Around
from .suspects import Metrics, Suspect, suspects

LOOK_BACK_US: Final = 180_000_000
LOOK_AHEAD_US: Final = 600_000_000
STEPS_BACK: Final = 6
STEPS_BEFORE: Final = 10
SILENT_BACK: Final = 4
"""A silence may have begun so many times as long before the symptom as a metric may have moved."""
STEPS_AHEAD: Final = 12
QUIET_SHARE: Final = 0.6
"""So much of the time before the symptom is taken for quiet at least."""

OWN: Final = 1.0
UNEXPLAINED: Final = 1.0
ANSWER: Final = 0.35
FELT: Final = 0.25
FIRST: Final = 0.25
FIRST_MAX: Final = 2.0
FARTHER: Final = 0.9
"""With every call in between an answer explains less of another."""
SURE: Final = 2.0
"""A callee that answers this badly explains whatever its callers do: symptoms may well be stronger than their cause."""
DARK: Final = 0.3
"""A component whose answers nobody measures is suspected by so much of what its callers cannot explain."""


class Cause(NamedTuple):
    """A component in the ranking; a higher score is more likely the root. `evidence` are objects for people and JSON."""

    component: str
    score: float
    evidence: list[evidence.Evidence]


class Told(NamedTuple):
    """A part of a score, and what it is made of."""

    score: float
    evidence: list[evidence.Evidence]


NOTHING: Final = Told(0.0, [])


def rank_causes(metrics: Metrics, graph: CallGraph, seen_us: int) -> list[Cause]:
    """Rank every component of the metrics and the graph, the most likely root first; ties by name."""
    names = sorted({component for component, _ in metrics} | set(graph.components))
    found = suspects(metrics, names, look_around(metrics, seen_us))
    causes = [_cause(found[name], found, graph) for name in names]
    return sorted(causes, key=lambda cause: (-cause.score, cause.component))


def look_around(metrics: Metrics, seen_us: int) -> Around:
    """Choose the quiet time and the time to look at, by the steps of the metrics and by what there is of them.

    A time at which nothing was measured stands for the nearest at which there is something to compare with.
    """
    step = _step_us(metrics)
    starts = [int(times[0]) for times, _ in metrics.values() if len(times)]
    ends = [int(times[-1]) for times, _ in metrics.values() if len(times)]
    if starts:
        seen_us = max(min(seen_us, max(ends)), min(starts) + STEPS_BEFORE * step)
    past = max(int((seen_us - min(starts, default=seen_us)) * (1 - QUIET_SHARE)), 0)
    back = max(LOOK_BACK_US, STEPS_BACK * step)
    ahead = max(LOOK_AHEAD_US, STEPS_AHEAD * step)
    return Around(seen_us - min(SILENT_BACK * back, past), seen_us - min(back, past), seen_us, seen_us + ahead)


def _step_us(metrics: Metrics) -> int:
    steps = sorted(int(times[-1] - times[0]) // (len(times) - 1) for times, _ in metrics.values() if len(times) > 1)
    return steps[len(steps) // 2] if steps else 0


def _cause(suspect: Suspect, found: Mapping[str, Suspect], graph: CallGraph) -> Cause:
    parts = [
        Told(OWN * suspect.own, evidence.moves(suspect)),
        _gone(suspect),
        _unexplained(suspect, found, graph),
        _felt(suspect, found, graph),
        _first(suspect, found),
        _dark(suspect, found, graph),
    ]
    return Cause(
        suspect.component,
        round(sum(part.score for part in parts), 6),
        [piece for part in parts for piece in part.evidence],
    )


def _gone(suspect: Suspect) -> Told:
    """Count that it is measured no more."""
    gone = suspect.gone
    return NOTHING if gone is None else Told(gone.weight, [evidence.silent(gone.share, gone.since_us)])


def _unexplained(suspect: Suspect, found: Mapping[str, Suspect], graph: CallGraph) -> Told:
    """Count what got worse in its answers, and no callee's answers explain."""
    explained = {
        callee: found[callee].felt * FARTHER**calls for callee, calls in graph.below(suspect.component).items()
    }
    worst = max(explained, key=lambda callee: (explained[callee], callee), default=None)
    less = 0.0 if worst is None else explained[worst]
    share = min(less / min(suspect.answer, SURE), 1.0) if suspect.answer > 0 else 0.0
    score = UNEXPLAINED * suspect.answer * (1.0 - share) + ANSWER * suspect.answer
    told = [evidence.calls("explained_by", worst, less)] if worst is not None and min(less, suspect.answer) > 0 else []
    return Told(score, told)


def _felt(suspect: Suspect, found: Mapping[str, Suspect], graph: CallGraph) -> Told:
    """Count who feels it: a root disturbs its callers' answers, as far as there is anything to feel."""
    callers = graph.above(suspect.component)
    worst = max(callers, key=lambda caller: (found[caller].answer, caller), default=None)
    if worst is None:
        return NOTHING
    felt = min(found[worst].answer, max(suspect.own, suspect.felt))
    if felt == 0:
        return NOTHING
    return Told(FELT * felt, [evidence.calls("felt_by", worst, felt)])


def _first(suspect: Suspect, found: Mapping[str, Suspect]) -> Told:
    """Count the order: who is disturbed before the others, disturbs them."""
    firsts = [one.first_us for one in found.values() if one.first_us is not None]
    if suspect.first_us is None or len(firsts) == 1:
        return NOTHING
    earlier = sum(first < suspect.first_us for first in firsts)
    later = sum(first > suspect.first_us for first in firsts)
    score = FIRST * later / (len(firsts) - 1) * min(max(suspect.own, suspect.felt), FIRST_MAX)
    return Told(score, [evidence.order(earlier + 1, len(firsts), suspect.first_us)])


def _dark(suspect: Suspect, found: Mapping[str, Suspect], graph: CallGraph) -> Told:
    """Count, where nothing tells how it answers, what its callers suffer and no other callee of theirs explains."""
    left = {
        caller: found[caller].answer
        - FARTHER
        * max((found[callee].felt for callee in graph.callees[caller] if callee != suspect.component), default=0.0)
        for caller in graph.callers.get(suspect.component, ())
        if found[caller].worst not in suspect.tells
    }
    worst = max(left, key=lambda caller: (left[caller], caller), default=None)
    if worst is None or left[worst] <= 0:
        return NOTHING
    return Told(DARK * left[worst], [evidence.calls("unexplained_in", worst, left[worst])])
