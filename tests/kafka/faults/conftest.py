"""What the tests of faults share: how they say what they saw."""

from collections.abc import Callable

import pytest

from .intensity import SEED


@pytest.fixture
def saw(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Give what prints a line that is seen although the test passes."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n{request.node.name}: seed {SEED}: {line}")

    return say
