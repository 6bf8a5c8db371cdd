"""Replay is exact: the recorded inputs in their recorded order, through the same code, must give the same events.

Reads only. `replay_shard` goes over a whole shard at once, for tests; `hms replay verify` over logs of any size.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ..log.port import EVENTS, LANES, Log
from .commits import Inputs, LogRecords, Transaction, commits
from .divergence import Divergence
from .installed import Behaviours
from .replayer import Replayer
from .shard_options import ShardOptions


class Difference(NamedTuple):
    """Where a replay and the record part: in which commit, what was recorded, what came out."""

    shard: int
    sequence: int
    what: str


async def transactions(log: Log, shard: int, behaviours: Behaviours, start: int = 0) -> list[Transaction]:
    """Return a shard's visible commits from an offset of `hms.events` on, in order."""
    end = (await log.watermarks(EVENTS, shard)).stable
    return [one async for one in commits(LogRecords(log), shard, behaviours.contract, start, end)]


async def replay_shard(
    log: Log, shard: int, behaviours: Behaviours, options: ShardOptions, history: Sequence[Transaction] | None = None
) -> list[Difference]:
    """Decide a shard's whole history (if read already: these transactions) again; return where it differs, if anywhere."""
    found = await transactions(log, shard, behaviours) if history is None else history
    inputs = Inputs(LogRecords(log), shard, [(await log.watermarks(topic, shard)).stable for topic in LANES])
    headers = log.capabilities.headers
    replayer = Replayer(shard, log.partitions, behaviours, options, headers=headers, lockstep=False)
    differences: list[Difference] = []
    for transaction in found:
        outcome = replayer.replay(transaction, await inputs.of(transaction.fields))
        differences += [Difference(shard, one.sequence, _text(one)) for one in outcome.divergences]
    await inputs.close()
    return differences


def _text(divergence: Divergence) -> str:
    return f"{divergence.actor}, {divergence.field}: expected {divergence.expected}, got {divergence.got}"
