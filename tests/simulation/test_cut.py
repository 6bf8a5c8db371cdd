"""The cut of any instant of any simulated world is causally closed, whatever its clocks did."""

import asyncio
from contextvars import copy_context
from random import Random
from typing import Any

import pytest
import structlog

from hms.core.address import is_participant
from hms.core.log.port import LANES, Log
from hms.core.runtime.cause import EFFECT_SOURCE
from hms.core.runtime.records import TIMER_LANE
from hms.core.runtime.verify import transactions
from hms.core.testing.simulation.cast import behaviours, far_side
from hms.core.testing.simulation.plan import plan_of
from hms.core.testing.simulation.world import World
from hms.replay.history import History
from hms.replay.past.cut import Cut, cut_at
from hms.schemas import MalformedRecord, partition_of

BITING = (52, 84, 98, 143, 154, 358, 399)
"""Worlds in which the last commits at some instant hold a message from beyond it: their clocks differ."""
SEEDS = (*range(12), *BITING)
INSTANTS = 12


def test_of_these_worlds_some_cuts_would_not_be_closed_by_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "hms.replay.past.cut.closed", lambda runs, _consumed, _count: {n: run[-1] for n, run in runs.items()}
    )
    for seed in BITING[:3]:
        with pytest.raises(AssertionError):
            test_a_cut_holds_the_cause_of_everything_in_it(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cut_holds_the_cause_of_everything_in_it(seed: int) -> None:
    world = World(plan_of(seed))
    configured = structlog.get_config()
    structlog.configure(processors=[_dropped], logger_factory=structlog.ReturnLoggerFactory())
    try:
        copy_context().run(_run, world, seed)
    finally:
        structlog.configure(**configured)


def _dropped(_logger: Any, _name: str, _event: Any) -> str:
    raise structlog.DropEvent


def _run(world: World, seed: int) -> None:
    far_side.set(world.far_side)
    try:
        world.loop.run_until_complete(_live_and_cut(world, Random(seed)))  # noqa: S311 - a test, not a secret
    finally:
        world.loop.close()


async def _live_and_cut(world: World, random: Random) -> None:
    await world.happen()
    log = world.broker.connect("looker")
    commits = {shard: await transactions(log, shard, behaviours()) for shard in range(log.partitions)}
    nows = sorted({one.fields["now"] for run in commits.values() for one in run})
    for at_us in [random.choice(nows) + random.randint(-1, 1) for _ in range(INSTANTS)]:
        cut = await cut_at(History(log), at_us)
        await _check(log, commits, cut)


async def _check(log: Log, commits: dict[int, list[Any]], cut: Cut) -> None:
    contract = behaviours().contract
    for shard, run in commits.items():
        point = cut.points[shard]
        assert point.now_us <= cut.at_us
        inside = [one for one in run if one.fields["sequence"] <= point.sequence]
        assert [one.record.offset + 1 for one in inside[-1:]] == [point.end] * len(inside[-1:])
        for given in [given for one in inside for given in one.fields["inputs"] if given["lane"] != TIMER_LANE]:
            (stored,) = (await log.read(LANES[given["lane"]], shard, given["offset"], records_max=1)).records
            try:
                envelope = contract.envelope_of(stored.value or b"")
            except MalformedRecord:
                continue
            if is_participant(envelope.source) or envelope.source.startswith(EFFECT_SOURCE):
                continue
            sender = partition_of(envelope.source, log.partitions)
            sent = [one for one in commits[sender] if one.fields["now"] == envelope.at_us]
            assert not sent or sent[-1].fields["sequence"] <= cut.points[sender].sequence
    await asyncio.sleep(0)
