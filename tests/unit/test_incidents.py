"""Incidents are a fold of what the runtime supervisor saw."""

from typing import Any

from hms.core.log.port import EVENTS, Stored
from hms.replay.incidents.book import EXIT, ILLNESS, TASK, Book, Incident, Told
from hms.replay.incidents.story import _lines
from hms.schemas import Envelope


def told(type_: str, at_us: int, **data: Any) -> Told:
    actor = "runtime_supervisor/main"
    envelope = Envelope(f"e{at_us}", actor, actor, f"hms.{type_}", at_us, "c1", None, None, "normal", None, "1.0")
    return Told(Stored(EVENTS, 0, at_us, at_us, actor.encode(), b"", ()), envelope, data)


def opened(at_us: int, id_: str = "i1", component: str = "web") -> Told:
    data = {"incident_id": id_, "component_id": component, "group_id": "front", "incarnation": 3}
    return told("IncidentOpened", at_us, **data, status="Critical", message="no answer")


def seen(at_us: int, stage: str, outcome: str = "", id_: str = "front/7") -> Told:
    data = {"recovery_id": id_, "component_id": "web", "group_id": "front", "incarnation": 3, "decision": "restart"}
    return told("GroupRecoverySeen", at_us, **data, stage=stage, outcome=outcome, cause="killed by KILL", duration_ms=5)


def book(*events: Told) -> list[Incident]:
    found = Book()
    for one in events:
        found.take(one)
    return list(found.incidents.values())


def test_an_illness_lasts_from_its_opening_to_its_closing() -> None:
    closed = told("IncidentClosed", 9_000, incident_id="i1", component_id="web", result="healed", duration_ms=8)
    (incident,) = book(opened(1_000), closed)
    assert (incident.kind, incident.result, incident.duration_ms) == (ILLNESS, "healed", 8.0)
    assert incident.symptom == "Critical: no answer"


def test_an_exit_that_its_group_met_is_an_incident_of_its_own() -> None:
    (incident,) = book(seen(1, "initiated"), seen(5, "completed", "healed"))
    assert (incident.id, incident.kind, incident.result, incident.recoveries) == ("front/7", EXIT, "healed", 1)


def test_what_a_group_does_about_a_known_illness_belongs_to_it() -> None:
    (incident,) = book(opened(1), seen(2, "initiated"), seen(3, "completed", "healed"))
    assert (incident.id, incident.recoveries, incident.closed_us) == ("i1", 1, None)


def test_a_recovery_task_is_an_incident_that_its_end_closes() -> None:
    accepted = told(
        *("RecoveryTaskAccepted", 1),
        task_id="t1",
        attempt=1,
        component_id="web",
        max_retries=2,
        backoff_strategy="fixed",
        failure_reason="asked by anna",
    )
    initiated = told("RecoveryInitiated", 2, task_id="t1", component_id="web", group_id="front", incarnation=0)
    ended = told("RecoveryTaskEnded", 7, task_id="t1", error_code="", text="{}")
    (incident,) = book(accepted, initiated, ended)
    assert (incident.kind, incident.symptom, incident.result) == (TASK, "asked by anna", "completed")
    assert (incident.group, incident.recoveries) == ("front", 1)


def test_an_incident_of_another_component_stays_open() -> None:
    closed = told("IncidentClosed", 9, incident_id="i1", component_id="web", result="healthy", duration_ms=8)
    first, second = book(opened(1), opened(2, "i2", "mailer"), closed)
    assert (first.result, second.result) == ("healthy", None)


def test_an_exit_after_a_stop_that_was_asked_for_is_an_effect_and_any_other_a_symptom() -> None:
    def exited(at_us: int, incarnation: int) -> Told:
        how = {"incarnation": incarnation, "cause": "exited", "code": None, "signal": "TERM"}
        return told("ComponentExited", at_us, exit=how)

    lines = _lines([exited(1, 2), told("ComponentStopRequested", 2, incarnation=3, reason="ill"), exited(3, 3)])
    assert [line.chapter for line in lines] == ["symptom", "effect", "effect"]
    assert lines[0].what == "incarnation 2 exited, signal TERM"
