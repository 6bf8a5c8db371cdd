"""What the commands of `hms analysis` have to do with the analysis supervisor: what it knows, and what it is asked."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from ...actors.analysis.supervisor import analysis_supervisor
from ...actors.analysis.supervisor.state import AnalysisState
from ...actors.well_known import ANALYSIS_SUPERVISOR
from ...core.app import App
from ...core.client import Client
from ...core.log.port import EVENTS
from ...core.runtime.view import View
from ...schemas.record import Event
from .exit_codes import Exit, Stop
from .freshness import freshness_line
from .opened import reading
from .show import say

APP: Final = App("hms", analysis_supervisor)
"""It names the types of what is asked."""
E = TypeVar("E", bound=Event)
F = TypeVar("F", bound=Event)


async def known(url: str) -> AnalysisState:
    """Return what the supervisor knows, folded from the log; says how fresh it is."""
    async with reading(url) as log:
        seen = await View(log, [APP]).actor(ANALYSIS_SUPERVISOR.id)
        say(await freshness_line(log))
    return AnalysisState() if seen is None else seen.state


async def cursor(client: Client) -> str:
    """Return the place from which to wait for what is asked next."""
    ends = [(await client.log.watermarks(EVENTS, shard)).stable for shard in range(client.log.partitions)]
    return ".".join(map(str, ends))


async def first(
    client: Client, after: str, kinds: tuple[type[E], type[F]], wanted: Callable[[E | F], bool], timeout_s: float
) -> E | F:
    """Return the first event of two kinds that is wanted; raises `Stop` when none comes in time."""
    good, bad = kinds
    tasks: list[asyncio.Task[E | F]] = [
        asyncio.create_task(_follow(client, after, good, wanted)),
        asyncio.create_task(_follow(client, after, bad, wanted)),
    ]
    try:
        done, _ = await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if not done:
        raise Stop(Exit.TIMEOUT, f"no answer of the analysis supervisor in {timeout_s:g} s; it may still come")
    return done.pop().result()


async def _follow(client: Client, after: str, kind: type[E], wanted: Callable[[E], bool]) -> Any:
    async for recorded in client.subscribe(kind, after=after):
        if wanted(recorded.data):
            return recorded.data
    raise AssertionError("expected a subscription to go on for ever")
