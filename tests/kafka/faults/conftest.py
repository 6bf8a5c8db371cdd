"""What the tests of faults share: how long they run, and how they say what they saw."""

import os
from collections.abc import Callable

import pytest

LONG = os.environ.get("HMS_LONG") == "1"
"""The long version of each test: more kills, more cuts."""


@pytest.fixture
def saw(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Give what prints a line that is seen although the test passes."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n{request.node.name}: {line}")

    return say
