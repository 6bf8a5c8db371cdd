"""The story of one incident: the symptom, the decisions, the effects, the outcome, each an event with its place."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from ...schemas import Contract
from ..history import History
from ..schemas import learn_schemas
from .book import RUNTIME_SUPERVISOR, Incident, Told, events_of

LEAD_US: Final = 60_000_000
"""How long before an incident was opened its symptom may have been seen."""
TAIL_US: Final = 10_000_000
"""How long after the end its last effects (a process that stops) may come."""
SYMPTOM, DECISION, EFFECT, OUTCOME = "symptom", "decision", "effect", "outcome"
CHAPTERS: Final = {
    "ComponentExited": SYMPTOM,
    "ComponentMissed": SYMPTOM,
    "LimitExceeded": SYMPTOM,
    "ComponentBecameUnknown": SYMPTOM,
    "CandidateWentSilent": SYMPTOM,
    "IncidentOpened": SYMPTOM,
    "RecoveryTaskAccepted": SYMPTOM,
    "RecoveryInitiated": DECISION,
    "RecoveryHeld": DECISION,
    "RecoveryRetryPlanned": DECISION,
    "RestartCounted": DECISION,
    "MemberHeld": DECISION,
    "GroupRestarting": DECISION,
    "GroupGaveUp": DECISION,
    "FencingBegan": DECISION,
    "ComponentPaused": DECISION,
    "ComponentStopRequested": EFFECT,
    "ComponentStartRequested": EFFECT,
    "ComponentStarted": EFFECT,
    "ComponentFenced": EFFECT,
    "ComponentReset": EFFECT,
    "PlanEnded": OUTCOME,
    "MemberStabilised": OUTCOME,
    "RecoveryCompleted": OUTCOME,
    "RecoveryTaskEnded": OUTCOME,
    "RecoveryTaskCancelled": OUTCOME,
    "ComponentGivenUp": OUTCOME,
    "IncidentClosed": OUTCOME,
}
"""Event -> chapter; a probe's, a group's and an expected exit's depend on what they say."""


class Line(NamedTuple):
    """One event of a story: in which chapter, and in words."""

    chapter: str
    told: Told
    what: str


async def story_of(history: History, incident: Incident) -> list[Line]:
    """Return the events that belong to an incident, in order of time."""
    contract = Contract()
    await learn_schemas(history, contract)
    actors = [RUNTIME_SUPERVISOR, f"component/{incident.component}"]
    actors += [f"group/{incident.group}"] if incident.group else []
    found: list[Told] = []
    for actor in actors:
        async for told in events_of(history, contract, actor, since_us=incident.opened_us - 2 * LEAD_US):
            if told.envelope.at_us > _end_us(incident) + TAIL_US:
                break
            if _is_about(told, incident):
                found.append(told)
    found.sort(key=lambda told: (told.envelope.at_us, told.stored.at_us, told.stored.partition, told.stored.offset))
    return _lines(found)


def _end_us(incident: Incident) -> int:
    return incident.closed_us if incident.closed_us is not None else 1 << 62


def _is_about(told: Told, incident: Incident) -> bool:
    """Tell whether an event is the incident's: of its component while it lasts, or of one correlation with its first."""
    component = told.data.get("component_id") or told.data.get("component") or incident.component
    if component != incident.component:
        return False
    at_us = told.envelope.at_us
    caused = told.envelope.correlation_id == incident.correlation and at_us >= incident.opened_us - LEAD_US
    return caused or incident.opened_us <= at_us <= _end_us(incident)


def _lines(found: list[Told]) -> list[Line]:
    lines: list[Line] = []
    stopping: set[int] = set()
    for told in found:
        if told.type == "ComponentStopRequested":
            stopping.add(told.data["incarnation"])
        chapter = _chapter(told, stopping)
        if chapter:
            lines.append(Line(chapter, told, _words(told)))
    return lines


def _chapter(told: Told, stopping: set[int]) -> str:
    data = told.data
    match told.type:
        case "ProbeChanged":
            return OUTCOME if data["passed"] else SYMPTOM
        case "GroupRecoverySeen":
            return OUTCOME if data["stage"] == "completed" else DECISION
        case "ComponentExited":
            return EFFECT if data["exit"]["incarnation"] in stopping else SYMPTOM
        case other:
            return CHAPTERS.get(other, "")


def _words(told: Told) -> str:
    """Tell an event in a few words: what its fields say that a reader of the story needs."""
    data = told.data
    if told.type in _WORDS:
        return _WORDS[told.type](data)
    names = ("incarnation", "status", "outcome", "result", "why", "reason", "because", "message", "failure_reason")
    return " ".join(f"{name}={data[name]}" for name in names if data.get(name) not in (None, ""))


def _exit_words(data: Mapping[str, Any]) -> str:
    how = data["exit"]
    ended = f"signal {how['signal']}" if how["signal"] else f"code {how['code']}"
    return f"incarnation {how['incarnation']} {how['cause']}, {ended}"


_WORDS: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "ComponentExited": _exit_words,
    "ProbeChanged": lambda data: f"{data['probe']} probe {'passed' if data['passed'] else 'failed'}: {data['message']}",
    "GroupRestarting": lambda data: (
        f"plan {data['plan']['id']}: {data['plan']['kind']} because of {data['plan']['reason']}"
    ),
    "GroupRecoverySeen": lambda data: f"{data['decision']} {data['stage']}: {data['outcome'] or data['cause']}",
    "PlanEnded": lambda data: f"plan {data['plan']} {data['outcome']}",
    "RecoveryTaskEnded": lambda data: f"{data['error_code'] or 'completed'}: {data['text']}",
}
