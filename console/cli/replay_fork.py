"""`hms replay fork`: the log as it was at an instant goes on otherwise, in a file of its own."""

import asyncio
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from ...core.log.sqlite.copying import write_log
from ...replay.fork.compare import Deviation, deviations
from ...replay.fork.cutting import Taken, take
from ...replay.fork.inject import Due, injected
from ...replay.fork.world import ForkWorld
from ...replay.opened import opened
from ...replay.past.changes import ABSENT
from .archive_options import ArchiveOption
from .exit_codes import Exit, Stop
from .instants import instant_us
from .options import DEFAULTS, Options
from .plain_value import instant_of_us, plain
from .replay_options import AppsOption, apps_named, history_of
from .show import Columns, say, show_list, show_one, text

RECORDED, NONE = "recorded", "none"
MINUTE_US: Final = 60_000_000
COLUMNS: Final[Columns] = {
    "ACTOR": "actor",
    "FIELD": "field",
    "REALITY": lambda item: text(item["reality"]) if "reality" in item else "(absent)",
    "FORK": lambda item: text(item["fork"]) if "fork" in item else "(absent)",
}


def fork(
    file: Path | None = None,
    /,
    *,
    at: Annotated[
        str, Parameter(allow_leading_hyphen=True, help="The instant of the cut: 2026-03-01T03:12:00Z, or -15m")
    ],
    inputs: Annotated[str, Parameter(help="What comes from outside: recorded, none, or a file of messages")] = RECORDED,
    inject: Annotated[Path | None, Parameter(help="A file of messages that come besides")] = None,
    until: Annotated[
        str | None,
        Parameter(allow_leading_hyphen=True, help="How far it goes [default: now; without recorded inputs a minute]"),
    ] = None,
    code: Annotated[
        Path | None, Parameter(help="Folder that the modules of --app are imported from, before others")
    ] = None,
    seed: Annotated[int, Parameter(help="What order things happen in, where nothing says it")] = 0,
    app: AppsOption = (),
    archive: ArchiveOption = None,
    options: Options = DEFAULTS,
) -> None:
    """Let the log go on from an instant in another way, into the new embedded log FILE, and show how it differs from reality.

    FILE is fork-INSTANT.db in this folder if it is not given. Run no node on it: effects under way at the cut would be run.

    The cut is causally closed: nothing is in it whose cause is not, and no message that was sent in it is lost. It goes on in
    virtual time, an hour in seconds, on the code that is named; effects do not run, and there are no hosts. Every command
    reads the new log: `--log sqlite:FILE`.

    A file of messages has a JSON object a line: `to, type, data`, and `at` or `after_ms`; `source, id, priority, ttl_ms`
    may be given. JSON: `log, at, until, inputs, injected, deviations[]` of `actor, field, reality, fork`. Writes nothing
    to the log that it comes from.
    """
    now_us = time.time_ns() // 1_000
    at_us = instant_us(at, now_us)
    if code is not None:
        sys.path[:0] = [str(code.absolute()), ""]  # before the current folder, where apps are looked for otherwise
    apps = apps_named(app)
    files = _files_of_messages(inputs, inject)
    file = _new_file(file, at_us)
    taken = asyncio.run(_take(options.url, archive, at_us, now_us if until is None else instant_us(until, now_us)))
    world = ForkWorld(taken, apps, seed=seed)
    more = [due for path in files for due in injected(path, world.behaviours.contract, at_us, taken.partitions)]
    recorded = [Due.of(one) for one in taken.outside] if inputs == RECORDED else []
    until_us = _until_us(until, now_us, at_us, [*recorded, *more])
    world.run([*recorded, *more], until_us)
    write_log(file, world.copy())
    found = asyncio.run(_compare(options.url, archive, file, world, taken, until_us))
    _show(
        {
            "log": f"sqlite:{file}",
            "at": instant_of_us(at_us),
            "until": instant_of_us(until_us),
            "inputs": len(recorded),
            "injected": len(more),
            "deviations": [_deviation_item(one) for one in found],
        },
        options,
    )


def _files_of_messages(inputs: str, inject: Path | None) -> list[Path]:
    files = [path for path in (inject, None if inputs in {RECORDED, NONE} else Path(inputs)) if path is not None]
    if missing := [path for path in files if not path.is_file()]:
        raise Stop(Exit.USAGE, f"expected recorded, none, or a file of messages; there is no file {missing[0]}")
    return files


def _new_file(named: Path | None, at_us: int) -> Path:
    file = named or Path(f"fork-{instant_of_us(at_us)[:19].replace(':', '')}.db")
    if file.exists():
        raise Stop(Exit.USAGE, f"{file} is there already; name a new file")
    return file


def _until_us(until: str | None, now_us: int, at_us: int, inputs: list[Due]) -> int:
    if until is not None:
        return instant_us(until, now_us)
    return max((due.at_us for due in inputs), default=at_us + MINUTE_US)


async def _take(url: str, archive: str | None, at_us: int, until_us: int) -> Taken:
    async with history_of(url, archive) as history:
        return await take(history, at_us, until_us)


async def _compare(
    url: str, archive: str | None, file: Path, world: ForkWorld, taken: Taken, until_us: int
) -> list[Deviation]:
    async with history_of(url, archive) as reality, opened(f"sqlite:{file}") as forked:
        return await deviations(reality, forked, world.behaviours, taken.cut, until_us)


def _deviation_item(one: Deviation) -> dict[str, Any]:
    values = {"reality": one.change.before, "fork": one.change.after}
    shown = {name: plain(value) for name, value in values.items() if value is not ABSENT}
    return {"actor": one.actor, "field": one.change.field, **shown}


def _show(item: Mapping[str, Any], options: Options) -> None:
    if options.form == "text":
        show_list(item["deviations"], "text", COLUMNS, cut_last=True)
    else:
        show_one(item, options.form)
    count = len({one["actor"] for one in item["deviations"]})
    say(
        f"{item['log']}: from {item['at']} to {item['until']}, {item['inputs']:,} recorded inputs and {item['injected']:,} "
        f"others; {count:,} actors differ from reality"
    )
