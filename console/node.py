"""`hms node`: run apps on a log, until TERM."""

import asyncio
import os
import signal
import socket
import sys
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from ..core.app import App
from ..core.log.open import open_log
from ..core.runtime.collector import relax
from ..core.runtime.node import Node
from .cli.archive_options import DutyOption
from .cli.audit_options import WitnessOption
from .cli.exit_codes import Exit
from .cli.opened import quiet
from .cli.options import DEFAULTS, Options
from .cli.show import say, write, write_line
from .session.apps import load_apps
from .session.beside import beside
from .session.lasting_output import outlive_output
from .workers import VARIABLE, run_workers

AppOption = Annotated[tuple[str, ...], Parameter(name="--app", help="An app to run, as MODULE:ATTRIBUTE")]
NameOption = Annotated[str, Parameter(help="What the node is called among the others", show_default="HOST-PID")]
WorkersOption = Annotated[
    int,
    Parameter(validator=Number(gte=1, lte=64), help="Processes to run as, one core each, called NAME.1, NAME.2, ..."),
]
POLL_S: Final = 0.2


def node(
    *,
    app: AppOption = (),
    name: NameOption = "",
    workers: WorkersOption = 1,
    archive: DutyOption = None,
    witness: WitnessOption = None,
    options: Options = DEFAULTS,
) -> int:
    """Run apps on a log, beside HMS's own; several nodes share the log's shards.

    TERM (or Ctrl-C) drains: every commit under way ends, then the other nodes take over at once. With `--archive` it
    archives its shards meanwhile; a failure of that is said, and stops nothing. It signs their history (`hms audit`).
    """
    outlive_output()
    called = name or f"{socket.gethostname()}-{os.getpid()}"
    if workers > 1:
        load_apps(app)  # so that a mistake is told once
        words = [word for one in app for word in ("--app", one)] + (["--archive", archive] if archive else [])
        words += ["--witness", witness] if witness else []
        return run_workers(called, workers, [*words, "--log", options.url, "--output", options.form])
    quiet()
    relax()
    return asyncio.run(_run(load_apps(app), called, archive, witness, options))


async def _run(apps: tuple[App, ...], name: str, archive: str | None, witness: str | None, options: Options) -> int:
    ending = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    if VARIABLE in os.environ:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ending.set)
    log = await open_log(options.url)
    try:
        also = beside(log, name, archive, witness)
        async with Node(log, apps, name=name, history=also.history, duties=also.duties) as running:
            say(f"hms: node {name} runs {', '.join(app.name for app in apps)} on {log.url}")
            return await _watch(running, ending, options)
    finally:
        await log.close()


async def _watch(running: Node, ending: asyncio.Event, options: Options) -> int:
    """Tell whenever the shards change, until the end; a broken history, or code older than the log's, ends it badly."""
    known: tuple[int, ...] = ()  # before the first shard there is nothing to tell
    unfit = ""
    while not ending.is_set():
        now = running.statistics()
        owned = tuple(shard.shard for shard in now.shards)
        if owned != known:
            known = owned
            _tell(running.name, owned, running.log.partitions, options)
        if bool(now.unfit) != bool(unfit):
            say(f"hms: {now.unfit or f'node {running.name} may own shards again'}")
        unfit = now.unfit
        if now.broken or now.outdated:
            for reason in now.broken:
                say(f"hms: {reason}")
            return Exit.FAILED
        try:
            async with asyncio.timeout(POLL_S):
                await ending.wait()
        except TimeoutError:
            continue
    say(f"hms: node {running.name} drains")
    return Exit.OK


def _tell(name: str, owned: tuple[int, ...], partitions: int, options: Options) -> None:
    if options.form == "text":
        write(f"{name} owns {len(owned)} of {partitions} shards: {_ranges(owned) or '-'}")
    else:
        write_line({"node": name, "shards": list(owned), "of": partitions})


def _ranges(shards: tuple[int, ...]) -> str:
    """Write 0,1,2,5 as `0-2 5`."""
    parts: list[list[int]] = []
    for shard in shards:
        if parts and shard == parts[-1][-1] + 1:
            parts[-1].append(shard)
        else:
            parts.append([shard])
    return " ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
