"""The command line, from the commands themselves: what `--help` shows, and their docstrings."""

import re
from collections.abc import Iterator
from pathlib import Path

from cyclopts import App, Parameter

import hms.schemas
from hms.console.cli import COMMANDS

from . import markdown

INTRODUCTION = """Nouns, then verbs. Data goes to stdout, everything else (how fresh the answer is, warnings,
mistakes) to stderr. `-o json` is a contract; `-o jsonl` is the same, an item a line. `HMS_LOG` names the log;
without it and `--log` it is `sqlite:$XDG_STATE_HOME/hms/log.db` (`~/.local/state` without `XDG_STATE_HOME`). Exit
codes are in [errors](errors.md)."""
RST = re.compile(r"``([^`]+)``")


def page() -> str:
    """Return docs/reference/commands.md."""
    app = App(name="hms", version="", default_parameter=Parameter(negative=()))
    for name, (place, what) in COMMANDS.items():
        app.command(place, name=name, help=what)
    parts = [part for name in COMMANDS for part in _command(app[name], f"hms {name}", 2)]
    return markdown.page("Commands", INTRODUCTION, *parts)


def _command(app: App, name: str, level: int) -> Iterator[str]:
    inner = sorted(word for word in app.resolved_commands() if not word.startswith("-"))
    yield f"{'#' * level} `{name}`"
    yield _about(app)
    if app.default_command or not inner:
        yield from _parameters(app)
    for word in inner:
        yield from _command(app[word], f"{name} {word}", level + 1)


def _about(app: App) -> str:
    """Prefer the function's docstring: the help of the list of commands is its first line at most."""
    return markdown.doc(app.default_command) if app.default_command else RST.sub(r"`\1`", app.help)


def _parameters(app: App) -> Iterator[str]:
    rows = []
    for argument in app.assemble_argument_collection():
        shown = argument.parameter.show
        if shown is False or argument.name == "*" or argument.children:
            continue
        rows.append((_names(argument), argument.parameter.help or "", _default(argument)))
    if rows:
        yield markdown.table(("parameter", "what", "default"), rows)


def _names(argument) -> str:  # noqa: ANN001 - cyclopts' own class
    if argument.is_positional_only():
        return f"`{argument.name}`"
    return ", ".join(f"`{name}`" for name in argument.names if name not in argument.negatives)


def _default(argument) -> str:  # noqa: ANN001
    default = argument.field_info.default
    if argument.required:
        return "required"
    if isinstance(argument.show_default, str):  # drawn or found when it runs
        return argument.show_default
    if default in (None, "", (), argument.field_info.empty):
        return ""
    if isinstance(default, Path):  # where the package happens to be installed
        default = default.relative_to(Path(str(hms.schemas.__file__)).parents[1].parent)
    return "" if default is False else f"`{default}`"
