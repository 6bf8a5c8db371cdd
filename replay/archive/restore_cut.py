"""Where a restore ends: the last moment at which every shard is archived completely, made causally closed."""

from collections.abc import Iterator, Mapping
from typing import Final

from ...core.address import is_participant
from ...core.errors import ValidationFailed
from ...core.log.port import DEAD_LETTERS, EVENTS, LANES, SCHEMAS, Stored
from ...core.runtime.cause import EFFECT_SOURCE
from ...core.runtime.commit_record import SHARD_KEY, commit_summary
from ...core.runtime.records import RUNTIME_RECORDS
from ...schemas import Contract, Envelope, MalformedRecord, partition_of
from ..past.cut import LANE_COUNT, NOTHING, Point, _Consumed, closed
from .reader import Archive

FOREVER_US: Final = 1 << 62
KEPT_POINTS: Final = 20_000
"""Of the last commits of each shard: the cut is never further back than that."""


class RestoreCut:
    """Decides of every archived record whether it is restored. Made by `of`; `points` are the shards' last commits."""

    def __init__(self, archive: Archive, contract: Contract, complete_us: int, points: Mapping[int, Point]) -> None:
        self.points = points
        self.complete_us = complete_us
        self._partitions = archive.partitions
        self._contract = contract

    @classmethod
    async def of(cls, archive: Archive) -> "RestoreCut":
        """Find the cut of an archive. Raises `ArchiveDamaged`, `ValidationFailed` for one that holds no commits."""
        contract = Contract()
        for record in RUNTIME_RECORDS:
            contract.register(record, str(record.explicit_type))
        for kind in (await archive.schemas()).types():
            contract.learn(kind.schema_id, kind.schema_json)
        complete_us = complete_before(archive)
        shards = range(archive.partitions)
        runs = {shard: _points(archive, contract, shard, complete_us) for shard in shards}
        consumed = {shard: _consumed(archive, contract, shard, runs[shard]) for shard in shards}
        return cls(archive, contract, complete_us, closed(runs, consumed, archive.partitions))

    def holds(self, stored: Stored) -> bool:
        """Tell whether a record is in the cut: what a commit within it consumed or sent, or what came from outside."""
        topic, shard, offset = stored[:3]
        point = self.points[shard]
        if topic == SCHEMAS:
            return True
        if topic == EVENTS:
            return offset < point.end
        if topic in LANES and offset < point.positions[LANES.index(topic)]:
            return True
        envelope = _envelope(self._contract, stored)
        if envelope is None or _is_outside(envelope):
            return stored.at_us <= self.complete_us
        sender = shard if topic == DEAD_LETTERS else partition_of(envelope.source, self._partitions)
        return envelope.at_us <= self.points[sender].now_us


def complete_before(archive: Archive) -> int:
    """Return before which instant (the log's time) every topic of every shard is archived."""
    found: list[int] = []
    for shard in range(archive.partitions):
        state = archive.state(shard)
        if state.number < 0:
            raise ValidationFailed(
                f"{archive.folder.root}: nothing of shard {shard} is archived; expected all {archive.partitions} shards"
            )
        found += state.complete_us.values()
    return min(found, default=0)


def _points(archive: Archive, contract: Contract, shard: int, complete_us: int) -> list[Point]:
    """Return the shard's last commits that were appended by then and consumed only what is archived."""
    first, end = archive.covered(EVENTS, shard) or (0, 0)
    lanes = [(archive.covered(lane, shard) or (0, 0))[1] for lane in LANES]
    found: list[Point] = [] if first else [NOTHING]
    for records in archive.read_left(EVENTS, shard, first, end):
        for stored in records:
            if not stored.key.startswith(SHARD_KEY):
                continue
            fields = commit_summary(contract, stored.value or b"")
            positions = tuple(fields["positions"])
            if stored.at_us > complete_us or any(after > lane for after, lane in zip(positions, lanes, strict=True)):
                return found[-KEPT_POINTS:]
            found.append(Point(fields["sequence"], fields["now"], stored.offset + 1, positions))
        found = found[-KEPT_POINTS:]
    return found or [NOTHING]


def _consumed(archive: Archive, contract: Contract, shard: int, run: list[Point]) -> list[_Consumed]:
    """Return the messages between actors that the kept commits of a shard consumed."""
    found: list[_Consumed] = []
    for lane in range(LANE_COUNT):
        start = max(run[0].positions[lane], (archive.covered(LANES[lane], shard) or (0, 0))[0])
        for stored in _each(archive, LANES[lane], shard, start, run[-1].positions[lane]):
            envelope = _envelope(contract, stored)
            if envelope is not None and not _is_outside(envelope):
                sender = partition_of(envelope.source, archive.partitions)
                found.append(_Consumed(lane, stored.offset, sender, envelope.at_us))
    return found


def _each(archive: Archive, topic: str, shard: int, start: int, end: int) -> Iterator[Stored]:
    for records in archive.read_left(topic, shard, start, end):
        yield from records


def _envelope(contract: Contract, stored: Stored) -> Envelope | None:
    try:
        return contract.envelope_of(stored.value or b"")
    except MalformedRecord:
        return None


def _is_outside(envelope: Envelope) -> bool:
    return is_participant(envelope.source) or envelope.source.startswith(EFFECT_SOURCE)
