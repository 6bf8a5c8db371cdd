"""What the commands of `hms replay` share: whose code, which history, and points of the past."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final, TypeAlias

from cyclopts import Parameter

from ...core.app import App
from ...core.clock import SystemClock
from ...core.runtime.fitness import Fitness
from ...core.runtime.installed import Behaviours
from ...replay.history import History
from ...replay.opened import opened
from ...replay.past.moment import Moment, moment_of
from .exit_codes import Exit, Stop
from .instants import instant_us
from .log_address import check_there
from .opened import quiet, reading

AppsOption: TypeAlias = Annotated[
    tuple[str, ...], Parameter(name="--app", help="MODULE:APP of your own, as `hms node` takes it; may be repeated")
]
When: TypeAlias = Annotated[
    str | None,
    Parameter(allow_leading_hyphen=True, help="2026-03-01T03:12:00Z, or -15m; or @OFFSET: that event is the last one"),
]


def apps_named(names: tuple[str, ...]) -> tuple[App, ...]:
    """Return HMS's own app and the named ones. Raises `Stop`."""
    from ..session.apps import load_apps  # noqa: PLC0415 - it imports every behaviour of HMS

    return load_apps(names)


HMS_APP: Final = "hms.actors.app:hms_app"


def app_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return what other processes are told to load: HMS's own app and the named ones, found to be there. Raises `Stop`."""
    apps_named(names)
    return (HMS_APP, *dict.fromkeys(names))


async def check_apps(url: str, names: tuple[str, ...]) -> None:
    """Raise `NodeOutdated` if the log holds an app that is not named: without its code nothing of it can be decided."""
    behaviours = Behaviours(apps_named(names))
    async with reading(url) as log:
        await Fitness(log, behaviours, SystemClock()).check_apps()


@asynccontextmanager
async def history_of(url: str, archive: str | None) -> AsyncIterator[History]:
    """Open a log that exists, with its archive if one is named, as one history."""
    quiet()
    check_there(url)
    async with opened(url, archive) as history:
        yield history


async def moment_named(history: History, shard: int, text: str | None) -> Moment:
    """Return the moment of an instant or `@OFFSET`; None means now. Raises `Stop` (usage)."""
    if text is None or text == "now":
        return await moment_of(history, shard)
    if text.startswith("@") and text[1:].isdecimal():
        return await moment_of(history, shard, offset=int(text[1:]))
    if text.startswith("@"):
        raise Stop(Exit.USAGE, f"expected @OFFSET such as @12, the place of an event in hms.events/{shard}, got {text}")
    return await moment_of(history, shard, at_us=instant_us(text, time.time_ns() // 1_000))
