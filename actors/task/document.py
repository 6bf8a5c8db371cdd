"""A task as a file gives it (core components, section 6): from a parsed document to a `SubmitTask`."""

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from ...core.errors import ValidationFailed
from ...schemas.task import DEFAULT_TIMEOUT_MS, SubmitTask
from .content import canonical_task

_FIELDS: Final = {
    "id": "id",
    "task_type": "type",
    "priority": "priority",
    "parameters": "parameters_json",
    "dependencies": "dependencies",
    "timeout": "timeout_ms",
    "schedule": "schedule",
}


def parse_task(document: Mapping[str, Any], *, default_id: str) -> SubmitTask:
    """Read the task in a parsed file; a task without an `id` gets `default_id`.

    Keys: `id`, `task_type`, `priority`, `parameters`, `dependencies`, `timeout` in milliseconds, `schedule` with `at`
    and `every_ms`. Raises `ValidationFailed` that names whatever does not fit.
    """
    unknown = sorted(str(name) for name in document if name not in _FIELDS)
    if unknown:
        raise ValidationFailed(f"expected a task to have {', '.join(_FIELDS)}; got unknown {', '.join(unknown)}")
    values = {_FIELDS[name]: value for name, value in document.items() if value is not None}
    values.setdefault("id", default_id)
    values.setdefault("timeout_ms", DEFAULT_TIMEOUT_MS)
    values["parameters_json"] = _json(values.get("parameters_json", {}))
    message = _submit(values)
    canonical_task(message)
    return message


def _submit(values: dict[str, Any]) -> SubmitTask:
    try:
        return SubmitTask.model_validate(values)
    except ValidationError as error:
        names = {field: name for name, field in _FIELDS.items()}
        mistakes = "; ".join(
            f"{names.get(str(each['loc'][0]), each['loc'][0])}: {each['msg']}" for each in error.errors()
        )
        raise ValidationFailed(f"expected a task, got mistakes: {mistakes}") from error


def _json(parameters: object) -> str:
    try:
        return json.dumps(parameters, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValidationFailed(f"expected parameters that JSON can hold (quote dates), got {error}") from error
