"""What must hold of a log after a trial: the promises of the simulation, and what its clients saw and when."""

from collections.abc import Sequence

from hms.core.log.port import Log
from hms.core.runtime.history import LogHistory
from hms.core.runtime.restore import ShardMemory, restore
from hms.core.runtime.shard_options import ShardOptions
from hms.core.testing.simulation.acts import timers_are_exact
from hms.core.testing.simulation.cast import behaviours
from hms.core.testing.simulation.evidence import Evidence, Witnesses
from hms.core.testing.simulation.promises import (
    acknowledged_means_durable,
    at_most_once,
    bad_input_is_refused_or_buried,
    fenced_records_are_never_visible,
    replay_is_exact,
    state_is_the_fold,
)

from . import history
from .workload import Timed

CHECKS = (
    acknowledged_means_durable,
    at_most_once,
    fenced_records_are_never_visible,
    bad_input_is_refused_or_buried,
    timers_are_exact,
    *history.CHECKS,
)


async def gathered(log: Log, operations: Sequence[Timed], written: Sequence[tuple[str, int, int, str]]) -> Evidence:
    """Read the log from its first record on; what its shards' next owners would know stands for the living."""
    cold = LogHistory(log)
    memories: dict[int, ShardMemory] = {
        shard: await restore(log, shard, behaviours(), ShardOptions(), cold) for shard in range(log.partitions)
    }
    witnesses = Witnesses(operations, (), (), written, clocks_right=True)
    return await Evidence(log, ShardOptions(), witnesses, memories).gather()


async def broken(evidence: Evidence) -> list[str]:
    """Return what does not hold, in words: nothing lost, doubled, reordered or made up, and totals conserved."""
    before = await evidence.ends()
    found = [f"{check.__name__}: {line}" for check in CHECKS for line in check(evidence)]
    found += [f"state_is_the_fold: {line}" for line in await state_is_the_fold(evidence)]
    found += [f"replay_is_exact: {line}" for line in await replay_is_exact(evidence)]
    if await evidence.ends() != before:
        found.append("to look at the log wrote something")
    return found
