"""Errors, their codes, refusals and exit codes, from the code that raises them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import hms.actors
import hms.core
from hms.console.cli import BROKEN_PIPE, INTERRUPTED
from hms.console.cli.exit_codes import Exit
from hms.core import errors

from . import markdown

EXITS = {
    Exit.OK: "done",
    Exit.FAILED: "it could not be done, or was refused; of `doctor`, `log verify` and `schema check`: something is wrong",
    Exit.USAGE: "the command line or the fleet file is wrong; nothing was done",
    Exit.NOT_FOUND: "no such component, task, dead letter or event",
    Exit.UNREACHABLE: "no such log, the log does not answer, or no node runs on it, so that nothing can change",
    Exit.TIMEOUT: "no answer in time: the outcome is unknown, or the wish stands and is not fulfilled yet",
    Exit.DIVERGED: "`hms replay verify`, `shadow`, `check`: the code decides otherwise than what was recorded",
    Exit.TASK_FAILED: "`hms task submit --wait`, `hms task watch`: the task ended otherwise than completed",
    Exit.UNHEALTHY: "`hms up`: it ended while a component was given up; `hms doctor`: all works but the fleet is not well",
}
INTRODUCTION = """Errors are cut by who must act. Whether trying again can help is a property of the class
(`HmsError.retryable`); `code` is the communication protocol's name for it."""
REFUSALS = """## Codes of refusals

A behaviour refuses with a code and a reason; the one who asked gets `Refused(code, reason)`. Yours may use any
code. HMS's own actors and the runtime use these:"""


def page() -> str:
    """Return docs/reference/errors.md."""
    classes = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, errors.HmsError)]
    rows = [_row(cls) for cls in classes]
    exits = [(f"{int(code)}", code.name, what) for code, what in ((code, EXITS[code]) for code in Exit)]
    exits += [
        (str(INTERRUPTED), "", "interrupted by Ctrl-C"),
        (str(BROKEN_PIPE), "", "the reader of the output went away"),
    ]
    return markdown.page(
        "Errors and exit codes",
        "## Exit codes",
        markdown.table(("code", "name", "meaning"), exits),
        "## Classes",
        INTRODUCTION,
        markdown.table(("class", "is a", "code", "retry", "what"), rows),
        REFUSALS,
        markdown.table(("code", "from"), _refusals()),
    )


def _row(cls: type[errors.HmsError]) -> tuple[str, ...]:
    retry = "yes" if cls.retryable else "no"
    return f"`{cls.__name__}`", f"`{cls.__base__.__name__}`", f"`{cls.code}`", retry, markdown.doc(cls)


def _refusals() -> list[tuple[str, str]]:
    found: dict[str, set[str]] = {}
    for layer in (hms.core, hms.actors):
        root = Path(str(layer.__file__)).parent
        for file in sorted(root.rglob("*.py")):
            if "testing" not in file.parts:
                for code in _codes(ast.parse(file.read_text(encoding="utf-8"))):
                    found.setdefault(code, set()).add(file.relative_to(root).parts[0].removesuffix(".py"))
    return [(f"`{code}`", ", ".join(sorted(places))) for code, places in sorted(found.items())]


def _codes(tree: ast.AST) -> Iterator[str]:
    """Give the codes of `refuse("CODE", ...)`, `code="CODE"` and `error_code="CODE"`, and of `_refuse(..., "CODE", ...)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            given = node.args[:1] if name == "refuse" else node.args[2:3] if name == "_refuse" else []
            given += [word.value for word in node.keywords if word.arg in {"code", "error_code"}]
            yield from (
                str(value.value) for value in given if isinstance(value, ast.Constant) and isinstance(value.value, str)
            )
