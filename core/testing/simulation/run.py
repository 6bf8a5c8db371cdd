"""From a seed to a verdict."""

from collections import Counter
from contextvars import copy_context
from typing import Any, NamedTuple

import structlog

from ...errors import HmsError
from ..virtual_loop import Stuck
from .cast import far_side
from .evidence import Evidence
from .plan import Plan, plan_of
from .promises import broken_promises
from .world import Note, World


class Verdict(NamedTuple):
    """What became of one seed; `broken` is empty if every promise held."""

    seed: int
    broken: list[str]
    strikes: Counter[str]
    trace: list[Note]
    steps: int
    virtual_ms: int


def simulate(seed: int, plan: Plan | None = None) -> Verdict:
    """Run one world and hold the promises against it."""
    world = World(plan or plan_of(seed))
    configured = structlog.get_config()
    structlog.configure(processors=[_into(world)], logger_factory=structlog.ReturnLoggerFactory())
    try:
        broken = copy_context().run(_run, world)
    finally:
        structlog.configure(**configured)
    return Verdict(seed, broken, world.strikes, world.trace, world.loop.steps, world.loop.now_ms)


def _run(world: World) -> list[str]:
    far_side.set(world.far_side)
    try:
        broken = world.loop.run_until_complete(_live_and_judge(world))
    except (Stuck, TimeoutError, HmsError) as error:
        broken = [f"liveness: {type(error).__name__}: {error}"]
    finally:
        world.loop.close()
    return broken + [f"unhandled: {failure}" for failure in world.loop.failures]


async def _live_and_judge(world: World) -> list[str]:
    await world.happen()
    return await broken_promises(await Evidence.gather(world))


def _into(world: World) -> Any:
    def note(logger: Any, method: str, event: Any) -> str:
        del logger
        what = " ".join(f"{key}={value}" for key, value in event.items() if key != "event")
        world.note(str(event.get("node") or event.get("shard", "")), f"{method}: {event['event']} {what}")
        return ""

    return note
