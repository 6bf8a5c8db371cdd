"""`hms component logs`: what a component wrote, from the files that its shim keeps on this host."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated, Final, TextIO

from cyclopts import Parameter
from cyclopts.validators import Number

from ....actors.host.host_id import state_folder
from ....core.errors import LogUnreachable
from ..exit_codes import Exit, Stop
from ..options import DEFAULTS, Options
from ..show import say, write, write_line
from .status import look

POLL_S: Final = 0.1
OUTPUT: Final = "output.log"


async def logs(
    component: str,
    /,
    *,
    follow: Annotated[bool, Parameter(alias="-f", help="Go on with what comes")] = False,
    lines: Annotated[int, Parameter(alias="-n", validator=Number(gte=0), help="So many of the last lines")] = 50,
    incarnation: Annotated[
        int | None, Parameter(help="Only the last lines of this one, as its exit recorded them")
    ] = None,
    fleet: Annotated[str | None, Parameter(help="If several fleets of this host have such a component")] = None,
    state: Annotated[Path | None, Parameter(help="The hosts' state folder [default: $XDG_STATE_HOME/hms]")] = None,
    options: Options = DEFAULTS,
) -> None:
    """Show the last lines that a component wrote to stdout and stderr, over all its runs, on this host.

    JSON: a line is an object `{component, line}`.
    """
    if incarnation is not None:
        await _recorded(component, incarnation, options)
        return
    folder = await _folder(component, fleet, state_folder(state), options)
    if not rotated(folder):
        say(f"{component} has written nothing yet")
    for line in last_lines(folder, lines):
        _show(component, line, options)
    if follow:
        async for line in following(folder / OUTPUT):
            _show(component, line, options)


def _show(component: str, line: str, options: Options) -> None:
    if options.form == "text":
        write(line, at_once=True)
    else:
        write_line({"component": component, "line": line}, at_once=True)


async def _recorded(component: str, incarnation: int, options: Options) -> None:
    """Show what the exits of one incarnation recorded; the output file holds all of them together."""
    (status,) = await look(options.url, component)
    exits = [exit_ for exit_ in status.exits if exit_.incarnation == incarnation]
    if not exits:
        known = ", ".join(map(str, sorted({exit_.incarnation for exit_ in status.exits}))) or "none"
        raise Stop(
            Exit.NOT_FOUND,
            f"no exit of incarnation {incarnation} of {component} is remembered (known: {known}; it is now at "
            f"{status.incarnation}); without --incarnation the output of all runs is shown",
        )
    for exit_ in exits:
        for line in exit_.last_lines:
            _show(component, line, options)


async def _folder(component: str, fleet: str | None, state: Path, options: Options) -> Path:
    """Return the folder with the component's output; says where it is instead, if it is elsewhere."""
    found = [
        path for path in sorted((state / "fleets").glob(f"{fleet or '*'}/components/{component}")) if path.is_dir()
    ]
    if len(found) > 1:
        names = ", ".join(path.parents[1].name for path in found)
        raise Stop(Exit.USAGE, f"several fleets of this host have a component {component!r}: {names}; say --fleet NAME")
    if found:
        return found[0]
    raise Stop(Exit.NOT_FOUND, await _elsewhere(component, state, options))


async def _elsewhere(component: str, state: Path, options: Options) -> str:
    try:
        (status,) = await look(options.url, component)
    except LogUnreachable as error:
        return f"no output of a component {component!r} below {state} on this host ({error})"
    return f"{component} belongs to host {status.host or '(none yet)'}; its output is there, and none is below {state} here"


def last_lines(folder: Path, count: int) -> list[str]:
    """Return the last lines of a component's output, the rotated files included, oldest first."""
    kept: deque[str] = deque(maxlen=max(count, 0))
    for path in rotated(folder):
        with path.open(encoding="utf-8", errors="replace") as file:
            kept.extend(line.rstrip("\n") for line in file)
    return list(kept)


def rotated(folder: Path) -> list[Path]:
    """Return the output files, oldest first: the higher the number behind `output.log.`, the older."""
    numbered = [path for path in folder.glob(f"{OUTPUT}.*") if path.suffix[1:].isdigit()]
    older = sorted(numbered, key=lambda path: -int(path.suffix[1:]))
    current = folder / OUTPUT
    return [*older, current] if current.exists() else older


async def following(path: Path) -> AsyncGenerator[str, None]:
    """Yield the lines that come from now on, for ever; goes on in the new file after a rotation."""
    file = _opened(path)
    pending = ""
    try:
        if file is not None:
            file.seek(0, os.SEEK_END)
        while True:
            over = file is None or _was_rotated(file.fileno(), path)
            # Read after the look: once it was rotated, nothing more comes into this one.
            piece = "" if file is None else file.read()
            *whole, pending = (pending + piece).split("\n")
            for line in whole:
                yield line
            if over:
                _close(file)
                file = _opened(path)
            if not piece:
                await asyncio.sleep(POLL_S)
    finally:
        _close(file)


def _close(file: TextIO | None) -> None:
    if file is not None:
        file.close()


def _opened(path: Path) -> TextIO | None:
    return path.open(encoding="utf-8", errors="replace") if path.exists() else None


def _was_rotated(descriptor: int, path: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino != path.stat().st_ino
    except FileNotFoundError:
        return True
