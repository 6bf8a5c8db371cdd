"""The operators' page knows every line that HMS may write on stderr, and every check of the doctor; and no others."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import hms.actors
import hms.console
import hms.core
import hms.replay

PAGE = (Path(__file__).parents[2] / "docs" / "operations" / "alarms.md").read_text(encoding="utf-8")
LEVELS = ("debug", "info", "warning", "error", "critical", "exception")


def calls() -> Iterator[ast.Call]:
    for layer in (hms.core, hms.replay, hms.actors, hms.console):
        for file in sorted(Path(str(layer.__file__)).parent.rglob("*.py")):
            if "testing" not in file.parts:
                tree = ast.parse(file.read_text(encoding="utf-8"))
                yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args)


def first_word(call: ast.Call) -> str:
    """Return the call's first argument, `X of NAME` of an f-string as `X of `."""
    first = call.args[0]
    if isinstance(first, ast.JoinedStr):
        first = first.values[0]
    return str(first.value) if isinstance(first, ast.Constant) else ""


def lines_written() -> set[str]:
    return {
        first_word(call)
        for call in calls()
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in LEVELS
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "logger"
    }


def section(title: str) -> str:
    return PAGE.partition(f"## {title}")[2].partition("\n## ")[0]


def documented(title: str) -> set[str]:
    cells = [line.split("|")[1] for line in section(title).splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_line_of_the_code_is_on_the_page_and_every_line_of_the_page_is_in_the_code() -> None:
    assert documented("Lines on stderr") == lines_written()


def test_every_check_of_the_doctor_is_on_the_page() -> None:
    checks = {first_word(call).split(" of ")[0] for call in calls() if getattr(call.func, "id", "") == "Check"}
    named = {name.split(" of ")[0] for name in documented("What the doctor looks at")}
    assert {check.replace("component ", "component NAME") for check in checks if check} == named - {"agent"}


@pytest.mark.parametrize("name", re.findall(r"event `([A-Za-z]+)`", section("What to wake somebody for")))
def test_an_event_that_wakes_somebody_exists(name: str) -> None:
    events = (Path(__file__).parents[2] / "docs" / "reference" / "events.md").read_text(encoding="utf-8")
    assert f"### `hms.{name}`" in events
