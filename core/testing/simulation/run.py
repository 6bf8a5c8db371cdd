"""From a seed to a verdict."""

from collections import Counter
from contextvars import copy_context
from typing import Any, NamedTuple

import structlog

from ...errors import HmsError
from ...runtime import verdict as verdicts
from ...runtime.restore import ShardMemory
from ..virtual_loop import Stuck
from .cast import far_side
from .evidence import Evidence, Witnesses
from .plan import EXPIRED, Plan, plan_of
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
    evidence = await Evidence(
        world.broker.connect("judge"), world.plan.options, _witnesses(world), _living(world)
    ).gather()
    expired = sum(given["verdict"] == verdicts.EXPIRED for _, _, given in evidence.inputs())
    world.struck.update({EXPIRED: expired})
    return await broken_promises(evidence)


def _witnesses(world: World) -> Witnesses:
    wishes = [wish for client in world.clients for wish in client.operations]
    far_side = world.far_side
    return Witnesses(wishes, far_side.begun, far_side.calls, world.intruder.written, not world.plan.skewed)


def _living(world: World) -> dict[int, ShardMemory]:
    return {number: shard.memory for number, shard in world.owners().items()}


def _into(world: World) -> Any:
    def note(logger: Any, method: str, event: Any) -> str:
        del logger
        what = " ".join(f"{key}={value}" for key, value in event.items() if key != "event")
        world.note(str(event.get("node") or event.get("shard", "")), f"{method}: {event['event']} {what}")
        return ""

    return note
