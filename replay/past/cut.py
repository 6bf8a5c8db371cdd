"""One instant of a whole log: a vector of commits, one a shard, that is causally closed.

Each shard stamps its commits by a clock of its own, and these differ. So the last commits at or before an instant may hold
a message that, by its sender's clock, was sent later. Such a cut never was. The closed one is the largest below it: what
consumed a message from beyond the cut is beyond it too.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Final, NamedTuple

from ...core.address import is_participant
from ...core.log.port import EVENTS, LANES
from ...core.runtime.cause import EFFECT_SOURCE
from ...core.runtime.commit_record import SHARD_KEY, commit_summary
from ...core.runtime.records import RUNTIME_RECORDS
from ...schemas import Contract, MalformedRecord, partition_of
from ..history import History
from ..schemas import learn_schemas

SKEW_US: Final = 150_000_000
"""Nodes whose clock is over a minute off the log's own nothing, so no two shards' times are further apart than this."""
WINDOWS_US: Final = (2 * SKEW_US, 86_400_000_000, 1 << 62)
LANE_COUNT: Final = len(LANES)


class Point(NamedTuple):
    """A commit: `end` is the next offset of `hms.events` after it, `positions` the lanes' next offsets."""

    sequence: int
    now_us: int
    end: int
    positions: tuple[int, ...]


NOTHING: Final = Point(-1, -1, 0, (0,) * LANE_COUNT)


class Cut(NamedTuple):
    """A causally closed vector: the last commit of each shard that is in it."""

    at_us: int
    points: Mapping[int, Point]


class _Consumed(NamedTuple):
    """A message between actors that a shard has consumed lately: where it was, whose, and when its sender's shard sent it."""

    lane: int
    offset: int
    sender: int
    sent_us: int


async def cut_at(history: History, at_us: int) -> Cut:
    """Return the largest causally closed cut that holds no commit later than an instant, by the shards' own times."""
    contract = Contract()
    for record in RUNTIME_RECORDS:
        contract.register(record, str(record.explicit_type))
    await learn_schemas(history, contract)
    runs = {shard: await _commits_before(history, contract, shard, at_us) for shard in range(history.partitions)}
    consumed = {shard: await _consumed(history, contract, shard, run, at_us) for shard, run in runs.items()}
    return Cut(at_us, closed(runs, consumed, history.partitions))


def closed(
    runs: Mapping[int, list[Point]], consumed: Mapping[int, list[_Consumed]], partitions: int
) -> dict[int, Point]:
    """Return the last points that are causally closed: take commits away until no message comes from beyond."""
    cut = {shard: runs[shard][-1] for shard in range(partitions)}
    changed = True
    while changed:
        changed = False
        for shard, messages in consumed.items():
            early = [one for one in messages if one.sent_us > cut[one.sender].now_us and _is_in(cut[shard], one)]
            if early:
                cut[shard] = _before(runs[shard], early)
                changed = True
    return cut


def _is_in(point: Point, message: _Consumed) -> bool:
    return message.offset < point.positions[message.lane]


def _before(run: list[Point], early: list[_Consumed]) -> Point:
    """Return the last commit that consumed none of these; of commits of one instant all or none are in a cut."""
    without = [point for point in run if not any(_is_in(point, message) for message in early)]
    beyond = run[len(without) :]
    while without[1:] and beyond and without[-1].now_us == beyond[0].now_us:
        beyond.insert(0, without.pop())
    return without[-1]


async def _commits_before(history: History, contract: Contract, shard: int, at_us: int) -> list[Point]:
    """Return the shard's last commits at or before an instant, as far back as clocks can differ; the first may be nothing."""
    for window_us in WINDOWS_US:
        since = max(0, at_us - window_us)
        start, end = await history.bounds(EVENTS, shard)
        if since:
            start = (await history.as_of((EVENTS,), at_us=since)).positions[EVENTS, shard]
        run = [point async for point in _points(history, contract, shard, start, end, at_us)]
        if run:
            return [NOTHING, *run] if run[0].sequence == 0 else run
    return [NOTHING]


async def _points(
    history: History, contract: Contract, shard: int, start: int, end: int, at_us: int
) -> AsyncIterator[Point]:
    async for records in history.records(EVENTS, shard, start, end):
        for stored in records:
            if stored.key.startswith(SHARD_KEY):
                fields = commit_summary(contract, stored.value or b"")
                if fields["now"] > at_us:
                    return
                yield Point(fields["sequence"], fields["now"], stored.offset + 1, tuple(fields["positions"]))


async def _consumed(history: History, contract: Contract, shard: int, run: list[Point], at_us: int) -> list[_Consumed]:
    """Return the messages between actors, of those consumed by the run's end, that may have been sent later."""
    found: list[_Consumed] = []
    since = (await history.as_of(LANES, at_us=max(0, at_us - SKEW_US))).positions
    for lane, topic in enumerate(LANES):
        async for records in history.records(topic, shard, since[topic, shard], run[-1].positions[lane]):
            for stored in records:
                try:
                    envelope = contract.envelope_of(stored.value or b"")
                except MalformedRecord:
                    continue
                if not is_participant(envelope.source) and not envelope.source.startswith(EFFECT_SOURCE):
                    sender = partition_of(envelope.source, history.partitions)
                    found.append(_Consumed(lane, stored.offset, sender, envelope.at_us))
    return found
