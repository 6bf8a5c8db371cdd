"""A fork held against reality: the actors that differ at one instant, field by field."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from ...core.log.port import EVENTS
from ...core.runtime.cell import Cell
from ...core.runtime.installed import Behaviours
from ...schemas import Record
from ..history import History
from ..past.changes import ABSENT, Change, changes
from ..past.cut import Cut, cut_at
from ..past.folding import Walk

MOVED_MAX: Final = timedelta(seconds=1)


class Deviation(NamedTuple):
    """A field of an actor that reality and the fork do not agree on."""

    actor: str
    change: Change


def is_moved(one: Deviation) -> bool:
    """Tell whether only an instant differs, and by less than a second: virtual time answers sooner than any machine."""
    before, after = one.change.before, one.change.after
    return isinstance(before, datetime) and isinstance(after, datetime) and abs(before - after) < MOVED_MAX


async def deviations(
    reality: History, fork: History, behaviours: Behaviours, since: Cut, until_us: int
) -> list[Deviation]:
    """Return where the actors that have moved since the cut differ at an instant, in the order of their addresses."""
    ends = (await cut_at(reality, until_us)).points
    found: list[Deviation] = []
    for shard in range(reality.partitions):
        real = Walk(reality, behaviours, shard, lambda _: True)
        await real.go(ends[shard].end)
        forked = Walk(fork, behaviours, shard, lambda _: True)
        await forked.go((await fork.bounds(EVENTS, shard))[1])
        found += _of_shard(real, forked, since.points[shard].sequence)
    return sorted(found, key=lambda one: one.actor)


def _of_shard(real: Walk, forked: Walk, sequence: int) -> Iterator[Deviation]:
    moved = {
        address
        for walk in (real, forked)
        for address in walk.memory.actors.addresses()
        if (cell := walk.memory.actors.get(address)) is not None and cell.sequence > sequence
    }
    for address in sorted(moved):
        for change in changes(*(_fields(walk.memory.actors.get(address)) for walk in (real, forked))):
            yield Deviation(address, change)


def _fields(cell: Cell | None) -> Any:
    """Return what is compared: the state, and whether the actor is quarantined."""
    if cell is None or not cell.count:
        return ABSENT
    state = _plain(cell.state)
    return {**state, "(quarantine)": cell.quarantine} if cell.quarantine else state


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return {name: _plain(inner) for name, inner in value}
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
