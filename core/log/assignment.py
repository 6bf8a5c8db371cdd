"""Which node gets which shard: balanced, sticky, and never two holders at once.

A shard has a `target` (who should own it) and a `holder` (who may still be running it). While they differ, the holder
has been told to stop and nobody else may start: the target becomes the holder when the old one releases the shard or dies.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Placement(NamedTuple):
    """Of one shard; None: nobody."""

    holder: str | None
    target: str | None


def share_out(placements: Sequence[Placement], live: Sequence[str]) -> list[Placement]:
    """Return the placements after members came or went; what can stay, stays.

    Deterministic: the same members and placements give the same answer on every node.
    """
    targets = _targets([placement.target for placement in placements], sorted(live))
    return [
        Placement(placement.holder if placement.holder in live else target, target)
        for placement, target in zip(placements, targets, strict=True)
    ]


def _targets(current: list[str | None], live: list[str]) -> list[str | None]:
    if not live:
        return [None] * len(current)
    room = _quotas(current, live)
    targets: list[str | None] = []
    for node in current:
        keeps = node is not None and room.get(node, 0) > 0
        targets.append(node if keeps else None)
        if keeps and node is not None:
            room[node] -= 1
    free = [node for node in live for _ in range(room[node])]
    return [node or free.pop(0) for node in targets]


def _quotas(current: list[str | None], live: list[str]) -> dict[str, int]:
    """Everybody gets the same, give or take one; the ones left over stay where most are, so that fewest move."""
    low, extra = divmod(len(current), len(live))
    by_load = sorted(live, key=lambda node: (-current.count(node), node))
    return {node: low + (rank < extra) for rank, node in enumerate(by_load)}
