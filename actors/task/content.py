"""What a task is, apart from its id: one canonical form, so that the same content is recognised as the same."""

import json
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from ...core.errors import ValidationFailed
from ...schemas.ids import derived_id
from ...schemas.task import TASK_PRIORITIES, SubmitTask, TaskSchedule
from ...schemas.task_parameters import TASK_PARAMETERS

PARAMETERS_MAX: Final = 16_384
"""Characters of a task's parameters; a task that needs more data names where it is."""
DEPENDENCIES_MAX: Final = 100

_TYPES: Final = {name.casefold(): name for name in TASK_PARAMETERS} | {"component_recovery": "Recovery"}
_PRIORITIES: Final = {name: name for name in TASK_PRIORITIES} | {"medium": "normal"}


class CanonicalTask(NamedTuple):
    """A submission in its one form; `fingerprint` is the same for the same content, whatever its spelling."""

    id: str
    type: str
    priority: str
    parameters_json: str
    dependencies: tuple[str, ...]
    timeout_ms: int
    schedule: TaskSchedule | None
    fingerprint: str


def canonical_task(message: SubmitTask) -> CanonicalTask:
    """Bring a submission into its one form; raises `ValidationFailed` that names every mistake it finds."""
    task_type = canonical_type(message.type)
    parts = (
        task_type,
        canonical_priority(message.priority),
        canonical_parameters(task_type, message.parameters_json),
        _dependencies(message),
        message.timeout_ms,
        _schedule(message),
    )
    schedule = parts[5].model_dump_json() if parts[5] else ""
    fingerprint = derived_id(*parts[:3], json.dumps(parts[3]), str(parts[4]), schedule)
    return CanonicalTask(message.id, *parts, fingerprint)


def canonical_type(name: str) -> str:
    """Return the type's own spelling: `recovery` and `component_recovery` are `Recovery`; unknown types stay."""
    if not name.strip():
        raise ValidationFailed(f"expected a task_type such as {', '.join(TASK_PARAMETERS)}, got {name!r}")
    return _TYPES.get(name.casefold(), name)


def canonical_priority(name: str) -> str:
    """Return critical, high, normal or low; `Medium` is normal."""
    priority = _PRIORITIES.get(name.casefold())
    if priority is None:
        raise ValidationFailed(
            f"expected a priority of critical, high, medium, normal or low (in any case), got {name!r}"
        )
    return priority


def canonical_parameters(task_type: str, text: str) -> str:
    """Return the parameters as sorted JSON without whitespace, defaults filled in where the type is known."""
    if len(text) > PARAMETERS_MAX:
        raise ValidationFailed(f"expected parameters of at most {PARAMETERS_MAX} characters of JSON, got {len(text)}")
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise TypeError(f"it is a {type(values).__name__}")  # noqa: TRY301 - one message for all that is no object
        return json.dumps(_typed(task_type, values), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValidationFailed(f"expected parameters to be a JSON object, got {text[:80]!r}: {error}") from error


def _typed(task_type: str, values: dict[str, Any]) -> dict[str, Any]:
    model = TASK_PARAMETERS.get(task_type)
    if model is None:
        return values
    try:
        return model.model_validate(values).model_dump(mode="json")
    except ValidationError as error:
        mistakes = "; ".join(f"parameters.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ValidationFailed(f"expected the parameters of a {task_type} task, got mistakes: {mistakes}") from error


def _dependencies(message: SubmitTask) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(message.dependencies))
    if len(names) > DEPENDENCIES_MAX:
        raise ValidationFailed(f"expected at most {DEPENDENCIES_MAX} dependencies, got {len(names)}")
    return names


def _schedule(message: SubmitTask) -> TaskSchedule | None:
    schedule = message.schedule
    if schedule is None or (schedule.at is None and schedule.every_ms is None):
        return None
    if schedule.at is not None and schedule.at.tzinfo is None:
        raise ValidationFailed(
            f"expected schedule.at with a time zone (such as 2026-01-01T03:00:00Z), got {schedule.at}"
        )
    if schedule.every_ms is not None and message.dependencies:
        raise ValidationFailed(
            "expected a repeated task (schedule.every_ms) to have no dependencies; drop one of the two"
        )
    return schedule
