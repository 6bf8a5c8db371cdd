"""A task's one form: what a file gives, what is the same, what is refused."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from hms.actors.task import canonical_task, parse_task
from hms.core.errors import ValidationFailed
from hms.schemas.task import SubmitTask, TaskSchedule

RECOVERY = """
id: "recover_failed_component"
task_type: "Recovery"
priority: "High"
parameters:
  component_id: "api_service"
  failure_reason: "Connection timeout"
  max_retries: 3
  backoff_strategy: "exponential"
dependencies: []
timeout: 60000  # 1 minute
"""


def recovery(**changes: Any) -> SubmitTask:
    fields = {"id": "t", "type": "Recovery", "parameters_json": json.dumps({"component_id": "web"})}
    return SubmitTask.model_validate({**fields, **changes})


def test_the_recovery_task_of_the_document_is_read_as_it_is_given() -> None:
    message = parse_task(yaml.safe_load(RECOVERY), default_id="unused")
    assert (message.id, message.type, message.timeout_ms) == ("recover_failed_component", "Recovery", 60_000)
    content = canonical_task(message)
    assert content.priority == "high"
    assert json.loads(content.parameters_json)["component_id"] == "api_service"


def test_a_file_without_an_id_gets_the_callers() -> None:
    document = {"task_type": "Recovery", "parameters": {"component_id": "web"}}
    assert parse_task(document, default_id="drawn").id == "drawn"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tiemout": 5}, "tiemout"),
        ({"task_type": None}, "task_type"),
        ({"timeout": 0}, "timeout"),
        ({"priority": "urgent"}, "priority"),
        ({"id": "no spaces"}, "id"),
        ({"parameters": {}}, "parameters.component_id"),
        ({"parameters": {"component_id": "web", "retries": 3}}, "parameters.retries"),
        ({"parameters": {"component_id": "web", "backoff_strategy": "random"}}, "parameters.backoff_strategy"),
        ({"parameters": ["web"]}, "JSON object"),
        ({"parameters": {"component_id": datetime(2026, 1, 1, tzinfo=UTC)}}, "quote dates"),
        ({"parameters": {"component_id": "web", "message": float("nan")}}, "JSON"),
    ],
)
def test_a_mistake_in_a_task_file_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationFailed, match=said.replace(".", r"\.")):
        parse_task({**yaml.safe_load(RECOVERY), **change}, default_id="unused")


@pytest.mark.parametrize(
    ("given", "canonical"), [("Medium", "normal"), ("HIGH", "high"), ("Low", "low"), ("critical", "critical")]
)
def test_priorities_are_taken_in_any_case_and_medium_is_normal(given: str, canonical: str) -> None:
    assert canonical_task(recovery(priority=given)).priority == canonical


@pytest.mark.parametrize("spelling", ["Recovery", "recovery", "component_recovery"])
def test_the_recovery_type_has_one_form_for_all_its_spellings(spelling: str) -> None:
    assert canonical_task(recovery(type=spelling)) == canonical_task(recovery())


def test_the_spelling_of_the_parameters_is_no_content() -> None:
    spaced = '{ "max_retries": 3,\n "component_id" : "web" }'
    assert canonical_task(recovery(parameters_json=spaced)).fingerprint == canonical_task(recovery()).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"priority": "low"},
        {"parameters_json": '{"component_id": "db"}'},
        {"dependencies": ("other",)},
        {"timeout_ms": 1},
        {"schedule": TaskSchedule(every_ms=1_000)},
        {"type": "Cleanup"},
    ],
)
def test_every_part_of_a_task_but_its_id_is_content(change: dict[str, Any]) -> None:
    assert canonical_task(recovery(**change)).fingerprint != canonical_task(recovery()).fingerprint
    assert canonical_task(recovery(id="other")).fingerprint == canonical_task(recovery()).fingerprint


def test_a_repeated_task_has_no_dependencies() -> None:
    with pytest.raises(ValidationFailed, match="every_ms"):
        canonical_task(recovery(dependencies=("a",), schedule=TaskSchedule(every_ms=1_000)))


def test_a_time_needs_a_zone() -> None:
    with pytest.raises(ValidationFailed, match="time zone"):
        canonical_task(recovery(schedule=TaskSchedule(at=datetime(2026, 1, 1))))  # noqa: DTZ001 - the case


@hypothesis_given(st.text(max_size=200) | st.from_regex(r'\{"component_id": ?[0-9e.\-"{}\[\]]*\}?', fullmatch=True))
def test_no_text_of_parameters_gets_past_the_two_outcomes(text: str) -> None:
    for task_type in ("Recovery", "Cleanup"):
        try:
            content = canonical_task(recovery(type=task_type, parameters_json=text))
        except ValidationFailed:
            continue
        again = canonical_task(recovery(type=task_type, parameters_json=content.parameters_json))
        assert again == content


@pytest.mark.parametrize("text", ['{"a": 1e999}', '{"a": "\\ud800"}', "9" * 5_000, "[" * 15_000])
def test_json_that_json_could_not_give_back_is_handled(text: str) -> None:
    message = recovery(type="Cleanup", parameters_json=text)
    try:
        canonical_task(message).parameters_json.encode()
    except ValidationFailed as error:
        assert "JSON object" in str(error)  # noqa: PT017 - either outcome is right
