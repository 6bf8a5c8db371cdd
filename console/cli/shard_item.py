"""A shard as operators see it: who owns it, what it has committed, what waits in its lanes."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ...core.log.port import EVENTS, LANES, Log, NodeInfo, Watermarks
from ...core.runtime.commit_record import commit_summary
from ...core.runtime.records import Commit
from ...schemas import Contract
from .plain_value import instant_of_us

LANE_NAMES: Final = tuple(lane.rpartition(".")[2] for lane in LANES)
LOOK_AGAIN_S: Final = 0.5
"""A transaction of HMS is over in milliseconds: what still hides the same place after this long, hangs."""
COUNTED_MAX: Final = 1_000
"""So many waiting messages of a lane are counted; beyond that, offsets are, in which Kafka's markers have a share."""


async def shard_item(log: Log, shard: int, nodes: Sequence[NodeInfo]) -> dict[str, Any]:
    """Return a shard's owner (None: no live node), and the epoch, sequence and instant of its last commit."""
    return _item(shard, nodes, await last_commit(log, shard))


async def shard_items(log: Log, shards: Sequence[int], nodes: Sequence[NodeInfo]) -> list[dict[str, Any]]:
    """Return the shards with what waits in their lanes (`lag`), and their `state`.

    `owned`; `orphaned` (no live node has it); `careful` (it ended several times without progress, and handles one
    message at a time); `blocked` (a transaction that does not end hides messages from it); `lost` (it has handled messages
    beyond the end of a lane: the topic was deleted and made again, or restored from an older copy than the events).
    """
    return await asyncio.gather(*(_whole_item(log, shard, nodes) for shard in shards))


async def last_commit(log: Log, shard: int) -> dict[str, Any] | None:
    """Return the fields of a shard's newest commit record, all but the inputs; None if it has none."""
    contract = Contract()
    contract.register(Commit, str(Commit.explicit_type))
    marks = await log.watermarks(EVENTS, shard)
    back = 1
    while marks.start < marks.stable:
        position = max(marks.start, marks.stable - back)
        read = await log.read(EVENTS, shard, position)
        if read.records:
            return commit_summary(contract, read.records[-1].value or b"")
        if position == marks.start:
            break
        back *= 2
    return None


def _item(shard: int, nodes: Sequence[NodeInfo], last: Mapping[str, Any] | None) -> dict[str, Any]:
    owner = next((node.node for node in nodes if node.alive and shard in node.shards), None)
    item: dict[str, Any] = {"shard": shard, "owner": owner, "epoch": None, "sequence": None, "committed_at": None}
    if last is not None:
        item.update(epoch=last["epoch"], sequence=last["sequence"], committed_at=instant_of_us(last["now"]))
    return item


async def _whole_item(log: Log, shard: int, nodes: Sequence[NodeInfo]) -> dict[str, Any]:
    last = await last_commit(log, shard)
    positions = last["positions"] if last is not None else (0,) * len(LANES)
    marks = [await log.watermarks(lane, shard) for lane in LANES]
    item = _item(shard, nodes, last)
    item["lag"] = {
        name: await _lag(log, lane, shard, position, mark)
        for name, lane, position, mark in zip(LANE_NAMES, LANES, positions, marks, strict=True)
    }
    lost = any(position > mark.high for position, mark in zip(positions, marks, strict=True))
    item["state"] = "lost" if lost else _state(item, last, blocked=await _blocked(log, shard))
    return item


def _state(item: Mapping[str, Any], last: Mapping[str, Any] | None, *, blocked: bool) -> str:
    if blocked:
        return "blocked"
    if item["owner"] is None:
        return "orphaned"
    return "careful" if last is not None and last["attempting"] else "owned"


async def _lag(log: Log, lane: str, shard: int, position: int, marks: Watermarks) -> int:
    """Count what waits: what is gone or hidden does not."""
    position, count = max(position, marks.start), 0
    while position < marks.stable and count < COUNTED_MAX:
        read = await log.read(lane, shard, position, headers=False)
        if read.position == position:
            break
        position, count = read.position, count + len(read.records)
    return count + max(0, marks.stable - position)


async def _blocked(log: Log, shard: int) -> bool:
    """Say whether something hides messages and goes on doing so at the same place."""
    hidden = {lane: at for lane in LANES if (at := await _hidden_at(log, lane, shard)) is not None}
    if not hidden:
        return False
    await asyncio.sleep(LOOK_AGAIN_S)
    return any([await _hidden_at(log, lane, shard) == at for lane, at in hidden.items()])


async def _hidden_at(log: Log, lane: str, shard: int) -> int | None:
    marks = await log.watermarks(lane, shard)
    return marks.stable if marks.stable < marks.high else None
