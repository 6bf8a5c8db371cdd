"""Read who calls whom: `[{"caller": .., "callee": ..}]`."""

import json
from pathlib import Path

from ....core.errors import ValidationFailed
from ..causes import CallGraph


class GraphFileInvalid(ValidationFailed):
    """The file is no list of calls; the message says what was expected and where."""


def read_graph(path: str) -> CallGraph:
    """Read a JSON list of objects with `caller` and `callee`; raises OSError, GraphFileInvalid."""
    try:
        calls = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise GraphFileInvalid(f"{path}: expected JSON, got what is none: {error}") from error
    if not isinstance(calls, list):
        raise GraphFileInvalid(f'{path}: expected a list of {{"caller": .., "callee": ..}}, got {type(calls).__name__}')
    return CallGraph([_edge(path, place, call) for place, call in enumerate(calls)])


def _edge(path: str, place: int, call: object) -> tuple[str, str]:
    match call:
        case {"caller": str(caller), "callee": str(callee)}:
            return caller, callee
    raise GraphFileInvalid(
        f'{path}: [{place}]: expected {{"caller": "name", "callee": "name"}}, got {json.dumps(call)[:100]}'
    )
