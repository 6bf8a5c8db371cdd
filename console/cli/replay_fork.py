"""`hms replay fork`: the log as it was at an instant goes on otherwise, in a file of its own."""

import asyncio
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from ...core.log.sqlite.copying import write_log
from ...replay.fork.compare import Deviation, deviations, is_moved
from ...replay.fork.cutting import Taken, from_its_beginning, take
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
from .replay_state import value_text
from .show import Columns, say, show_list, show_one

RECORDED, NONE = "recorded", "none"
MINUTE_US: Final = 60_000_000
DAY_US: Final = 86_400_000_000
COLUMNS: Final[Columns] = {
    "ACTOR": "actor",
    "FIELD": "field",
    "REALITY": lambda item: value_text(item, "reality"),
    "FORK": lambda item: value_text(item, "fork"),
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
        Parameter(allow_leading_hyphen=True, help="How far it goes [default: a minute after the last input]"),
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
    may be given. Instants in states that differ by less than a second are counted, not shown. JSON: `log, at, until, inputs,
    injected, instants_moved, deviations[]` of `actor, field, reality, fork`. Writes nothing to the log that it comes from.
    """
    now_us = time.time_ns() // 1_000
    at_us = _past_us(at, now_us)
    if code is not None:
        sys.path[:0] = [str(code.absolute()), ""]  # before the current folder, where apps are looked for otherwise
    end_us = _end_us(until, at, at_us, now_us)
    apps = apps_named(app)
    files = _files_of_messages(inputs, inject)
    file = _new_file(file, at_us)
    taken = asyncio.run(_take(options.url, archive, at_us, now_us if end_us is None else end_us))
    if inputs == RECORDED:
        taken = from_its_beginning(taken)
        at_us = taken.cut.at_us
    world = ForkWorld(taken, apps, seed=seed)
    more = [due for path in files for due in injected(path, world.behaviours, at_us, taken.partitions)]
    recorded = [Due.of(one) for one in taken.outside] if inputs == RECORDED else []
    until_us = _last_us(at_us, recorded, more, now_us) if end_us is None else end_us
    if until_us - at_us > DAY_US:
        say(f"goes on for {(until_us - at_us) / DAY_US:,.0f} days; a day of virtual time takes about a minute")
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
            "instants_moved": sum(map(is_moved, found)),
            "deviations": [_deviation_item(one) for one in found if not is_moved(one)],
        },
        options,
    )


def _end_us(until: str | None, at: str, at_us: int, now_us: int) -> int | None:
    end_us = None if until is None else instant_us(until, now_us)
    if end_us is not None and end_us < at_us:
        raise Stop(Exit.USAGE, f"expected --until after --at, got {until} and {at}")
    return end_us


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


def _past_us(at: str, now_us: int) -> int:
    at_us = instant_us(at, now_us)
    if not 0 <= at_us <= now_us:
        raise Stop(Exit.USAGE, f"expected an instant of the past for --at, got {at}")
    return at_us


def _last_us(at_us: int, recorded: list[Due], more: list[Due], now_us: int) -> int:
    """Return a minute after the last input; where all are recorded, not later than now: reality has come no further."""
    last_us = max((due.at_us for due in (*recorded, *more)), default=at_us)
    return max(last_us, min(last_us + MINUTE_US, now_us)) if recorded and not more else last_us + MINUTE_US


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
        f"others; {count:,} actors differ from reality, {item['instants_moved']:,} instants by less than a second"
    )
