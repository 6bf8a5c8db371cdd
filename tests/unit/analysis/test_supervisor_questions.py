"""Analysis tasks, queries for figures, questions for causes: each is done by an effect, and answered once."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import yaml

from hms.actors.analysis.supervisor import analysis_supervisor
from hms.actors.task import parse_task
from hms.core.testing.given import EPOCH
from hms.schemas.analysis import AnalysisResult, FindCauses, MetricsQuery, MetricsResponse, RankedCause
from hms.schemas.analysis_event import (
    AnalysisTaskAccepted,
    CausesAsked,
    CausesNotRanked,
    CausesRanked,
    MetricsAsked,
)
from hms.schemas.analysis_look import AnalysisFound, CausesFound, MetricsFound
from hms.schemas.task_protocol import (
    TaskAcceptance,
    TaskAssignment,
    TaskCancellation,
    TaskCompletion,
    TaskFailure,
    TaskProgress,
    TaskRejection,
)

META = "meta_supervisor/main"
DOCUMENT = """
id: "analyze_system_health"
task_type: "Analysis"
priority: "Medium"
parameters:
  components: ["all"]
  metrics: ["cpu", "memory", "response_time", "error_rate"]
  time_range_minutes: 60
  generate_report: true
dependencies: []
timeout: 300000  # 5 minutes
"""


@pytest.fixture
def analyst(desk: Callable[[Any], Any]) -> Any:
    return desk(analysis_supervisor)


def assign(analyst: Any, attempt: int = 1, **changes: Any) -> None:
    task = parse_task(yaml.safe_load(DOCUMENT), default_id="unused")
    fields = {
        "task_id": task.id,
        "task_type": task.type,
        "priority": "normal",
        "parameters_json": task.parameters_json,
        "timeout_ms": task.timeout_ms,
        "attempt": attempt,
    }
    analyst.tell(TaskAssignment.model_validate({**fields, **changes}), META)


def found(analyst: Any, **changes: Any) -> None:
    fields = {"task_id": "analyze_system_health", "as_of": EPOCH, "summary": "all well", "result_json": '{"a":1}'}
    analyst.tell(AnalysisFound.model_validate({**fields, **changes}))


def reports(analyst: Any) -> list[Any]:
    return [each.message for each in analyst.sent if each.to == META]


def test_the_analysis_task_of_the_document_is_done_and_reported(analyst: Any) -> None:
    assign(analyst)
    assert [type(report) for report in reports(analyst)] == [TaskAcceptance, TaskProgress]
    [accepted] = analyst.events
    assert isinstance(accepted, AnalysisTaskAccepted)
    assert (accepted.components, accepted.time_range_minutes, accepted.generate_report) == (("all",), 60, True)
    assert accepted.as_of == EPOCH
    found(analyst)
    assert reports(analyst)[-1] == TaskCompletion(task_id="analyze_system_health", attempt=1, result_json='{"a":1}')
    [result] = analyst.sent_to("topic/analysis", AnalysisResult)
    assert (result.task_id, result.summary) == ("analyze_system_health", "all well")


def test_an_analysis_that_fails_fails_its_task(analyst: Any) -> None:
    assign(analyst)
    found(analyst, error="no memory")
    failure = TaskFailure(task_id="analyze_system_health", attempt=1, error="no memory", error_code="internal_error")
    assert reports(analyst)[-1] == failure
    assert analyst.state.tasks == {}


def test_a_task_that_is_assigned_again_after_its_end_is_reported_again(analyst: Any) -> None:
    assign(analyst)
    found(analyst)
    assign(analyst, attempt=2)
    assert reports(analyst)[-1] == TaskCompletion(task_id="analyze_system_health", attempt=2, result_json='{"a":1}')
    assert sum(isinstance(event, AnalysisTaskAccepted) for event in analyst.events) == 1


def test_what_a_cancelled_task_finds_is_forgotten(analyst: Any) -> None:
    assign(analyst)
    analyst.tell(TaskCancellation(task_id="analyze_system_health", attempt=1), META)
    found(analyst)
    assert not any(isinstance(report, TaskCompletion) for report in reports(analyst))


def test_a_cancellation_that_comes_first_rejects_the_task(analyst: Any) -> None:
    analyst.tell(TaskCancellation(task_id="analyze_system_health", attempt=1), META)
    assign(analyst)
    assert [report.error_code for report in reports(analyst)] == ["cancelled"]


WHOLE = {"components": ["all"], "metrics": ["all"], "time_range_minutes": 60}


@pytest.mark.parametrize(
    "changes",
    [
        {"task_type": "Recovery"},
        {"parameters_json": json.dumps({"components": ["all"]})},
        {"parameters_json": json.dumps({**WHOLE, "components": []})},
        {"parameters_json": json.dumps({**WHOLE, "metrics": []})},
        {"parameters_json": json.dumps({**WHOLE, "time_range_minutes": 10**12})},
    ],
)
def test_what_is_no_analysis_is_rejected(analyst: Any, changes: dict[str, str]) -> None:
    assign(analyst, **changes)
    [rejection] = reports(analyst)
    assert isinstance(rejection, TaskRejection)
    assert rejection.error_code == "validation_error"


def test_a_query_is_answered_to_who_asked_as_of_when_it_came(analyst: Any) -> None:
    reply = analyst.tell(MetricsQuery(components=("web",), time_range_minutes=5), "ga/main").reply
    [asked] = analyst.events
    assert reply.query_id == asked.query_id
    assert isinstance(asked, MetricsAsked)
    assert (asked.asker, asked.as_of) == ("ga/main", EPOCH)
    response = MetricsResponse(query_id=asked.query_id, from_at=EPOCH - timedelta(minutes=5), as_of=EPOCH)
    analyst.tell(MetricsFound(response=response))
    analyst.tell(MetricsFound(response=response))
    assert [(send.to, send.message) for send in analyst.sent] == [("ga/main", response)]


def test_a_ranking_is_an_event_with_its_evidence(analyst: Any) -> None:
    request_id = analyst.tell(FindCauses(incident_id="i1")).reply.request_id
    assert [type(event) for event in analyst.events] == [CausesAsked]
    ranking = (RankedCause(component="store", score=3.0, evidence_json='[{"what": "metric"}]'),)
    analyst.tell(CausesFound(request_id=request_id, as_of=EPOCH, component="web", seen_at=EPOCH, ranking=ranking))
    [ranked] = [event for event in analyst.events if isinstance(event, CausesRanked)]
    assert (ranked.incident_id, ranked.component, ranked.ranking) == ("i1", "web", ranking)
    assert analyst.state.causes == ()


def test_why_there_is_no_ranking_is_an_event_too(analyst: Any) -> None:
    request_id = analyst.tell(FindCauses(incident_id="i1")).reply.request_id
    analyst.tell(CausesFound(request_id=request_id, as_of=EPOCH, error="there is none"))
    assert analyst.events[-1] == CausesNotRanked(request_id=request_id, incident_id="i1", reason="there is none")
