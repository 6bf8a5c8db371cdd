"""A task as JSON has it."""

import json
from typing import Any

from ...schemas.task import TaskStatus
from .plain_value import plain


def task_item(task: TaskStatus) -> dict[str, Any]:
    """Return a task's fields; `result` and `parameters` are JSON values in it, not texts."""
    item: dict[str, Any] = plain(task)
    result = item.pop("result_json")
    parameters = item.pop("parameters_json")
    item["result"] = None if result is None else json.loads(result)
    item["parameters"] = json.loads(parameters)
    return item
