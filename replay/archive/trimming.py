"""Deleting in the log what is archived, while the archive can be trusted.

Below min(handled, checkpointed, archived) nothing in the log is needed; how much longer it stays is the policy's.
"""

import asyncio
import time
from typing import NamedTuple

from ...core.log.port import EVENTS, LANES, OUTBOX, SCHEMAS, Log
from ...core.runtime.archived import raise_outbox_floor
from ...core.runtime.commit_record import commit_summary
from ...core.runtime.housekeeping import first_offset_since
from ...core.runtime.records import Commit
from ...schemas import Contract
from .batch import places_of
from .errors import ArchiveDamaged
from .policy import Policy
from .shard_state import ShardState
from .snapshot import low_water
from .trust import Trust
from .writer import ShardWriter


class Trimmed(NamedTuple):
    """How many positions went; `doubt` says why none could."""

    positions: int
    doubt: str


async def trim(writer: ShardWriter, log: Log, policy: Policy, trust: Trust) -> Trimmed:
    """Delete a shard's archived records from the log, as far as the policy says. Raises `ArchiveDamaged`."""
    doubt = await trust.doubt()
    if doubt:
        return Trimmed(0, doubt)
    state = await asyncio.to_thread(writer.manifests.refresh)
    await asyncio.to_thread(check_present, writer, state)
    await raise_outbox_floor(log, writer.shard, (state.covered.get(OUTBOX) or (0, 0))[1])
    kept_us = policy.log_kept_us()
    if kept_us is None:
        return Trimmed(0, "")
    since_us = time.time_ns() // 1_000 - kept_us
    bounds = await needed_from(log, writer.shard, state)
    positions = 0
    for topic, bound in bounds.items():
        start = (await log.watermarks(topic, writer.shard)).start
        before = min(bound, await first_offset_since(log, topic, writer.shard, since_us))
        if before > start:
            await log.trim(topic, writer.shard, before)
            positions += before - start
    return Trimmed(positions, "")


async def needed_from(log: Log, shard: int, state: ShardState) -> dict[str, int]:
    """Return, of each topic, below which position the log is needed for nothing: handled, checkpointed and archived.

    The outbox is not among them: who it is for may not have read it yet, so its own age decides.
    """
    bounds = {
        topic: state.covered[topic][1]
        for topic, _ in places_of(shard)
        if topic not in {SCHEMAS, OUTBOX} and topic in state.covered
    }
    if EVENTS in bounds:
        bounds[EVENTS] = min(bounds[EVENTS], await low_water(log, shard))
    handled = await handled_in(log, shard, state)
    return {topic: min(bound, handled.get(topic, bound)) for topic, bound in bounds.items()}


async def handled_in(log: Log, shard: int, state: ShardState) -> dict[str, int]:
    """Return the lanes' positions after the last archived commit; nothing is handled where that is not in the log."""
    nothing = dict.fromkeys(LANES, 0)
    if state.chain is None or state.chain.position < (await log.watermarks(EVENTS, shard)).start:
        return nothing
    read = await log.read(EVENTS, shard, state.chain.position, records_max=1, headers=False)
    contract = Contract()
    contract.register(Commit, str(Commit.explicit_type))
    for stored in read.records:
        if stored.offset == state.chain.position:
            return dict(zip(LANES, commit_summary(contract, stored.value or b"")["positions"], strict=True))
    return nothing


def check_present(writer: ShardWriter, state: ShardState) -> None:
    """Look whether every file that counts is there, in its full size. Raises `ArchiveDamaged`."""
    for file in state.files.values():
        path = writer.folder.root / file.path
        size = path.stat().st_size if path.exists() else -1
        if size != file.bytes:
            raise ArchiveDamaged(
                f"{path}: expected a file of {file.bytes} bytes, got {'none' if size < 0 else size}; nothing is trimmed. "
                "`hms archive verify` names all that is wrong"
            )
