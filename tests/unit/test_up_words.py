"""How `hms up` tells that something ended."""

from datetime import UTC, datetime
from typing import Any

import pytest

from hms.console.session.news import describe_exit
from hms.schemas.component import Exit

LOST = "its shim was killed, so nobody saw its exit code"
LATE = "did not stop within 1500 ms of TERM: killed"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"code": 3, "last_lines": ("bang",)}, "code 3 | bang"),
        ({"signal": "KILL", "oom": True}, "signal KILL, out of memory"),
        ({"signal": "TERM", "expected": True}, "signal TERM, as asked"),
        ({"signal": "KILL", "expected": True, "reason": LATE}, f"signal KILL, {LATE}"),
        ({"cause": "unknown", "reason": LOST}, LOST),
        ({"cause": "unknown"}, "nobody saw how"),
        ({"cause": "start_failed", "reason": "'nope' not found on PATH"}, "could not start: 'nope' not found on PATH"),
    ],
)
def test_an_end_is_told_with_all_that_is_known_of_it(how: dict[str, Any], said: str) -> None:
    assert describe_exit(Exit(incarnation=1, at=datetime.now(UTC), **how)) == said
