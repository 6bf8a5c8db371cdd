"""A log out of its archive: every record at its old position, as far as one consistent moment.

Shards are archived one by one, so their ends are of different moments. What is restored ends where every shard is
archived completely, and where causes go with their consequences. The chain is verified before anything is written.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ...core.log.port import CHECKPOINTS, EVENTS, LANES, Stored
from ...core.log.sqlite.copying import LogCopy, PartitionCopy, check_free, write_log
from ...core.runtime.archived import ARCHIVE_SETTING
from .binding import Bound
from .errors import ArchiveDamaged, ArchiveMismatch
from .parquet import RECORD_COLUMNS, by_position, read_table, records_of
from .reader import Archive
from .restore_cut import RestoreCut
from .shard_state import ShardState
from .verify import CheckSignature, verify

Place = tuple[str, int]


class Restored(NamedTuple):
    """What was restored, and what was left out."""

    records: int
    commits: dict[int, int]
    """Of each shard the last commit; -1 where there is none."""
    left_out: int
    """Archived records from behind the cut: of a moment at which not every shard is archived."""
    goes_on: bool
    """Whether the log may go on in the same archive; one that lacks what that holds needs a new one."""


async def restore(archive: Archive, target: Path | str, check_signature: CheckSignature | None = None) -> Restored:
    """Write an archive's log into a new file, or under a new prefix on Kafka (`kafka://`).

    Raises `ArchiveDamaged` when the archive is not whole, `ArchiveMismatch` when it cannot be restored, `ValidationFailed`.
    """
    await archive.refresh()
    for shard in range(archive.partitions):
        report = await asyncio.to_thread(verify, archive, shard, check_signature)
        if report.findings:
            raise ArchiveDamaged(f"{archive.folder.root} is not whole, so nothing was restored: {report.findings[0]}")
    cut = await RestoreCut.of(archive)
    for shard in range(archive.partitions):
        _check_beginning(archive.state(shard), shard, cut)
    restoring = _Restoring(archive, cut)
    if isinstance(target, str):
        return await restoring.write_on_kafka(target)
    return await asyncio.to_thread(restoring.write, target)


def _check_beginning(state: ShardState, shard: int, cut: RestoreCut) -> None:
    """Look whether the shard can be opened: from its first event, or from a snapshot that is not from behind the cut."""
    start = _start(state, EVENTS, shard)
    sequence, positions = cut.points[shard].sequence, cut.points[shard].positions
    if lost := [lane for lane, at in zip(LANES, positions, strict=True) if _start(state, lane, shard) > at]:
        raise ArchiveMismatch(
            f"shard {shard}: messages in {lost[0]} from position {positions[LANES.index(lost[0])]} to below "
            f"{_start(state, lost[0], shard)}, which it had not handled yet, are not archived (any more); nothing was restored"
        )
    if start == 0:
        return
    if state.snapshot is None or state.snapshot.low_water < start:
        raise ArchiveMismatch(
            f"shard {shard}: its events before position {start} are not archived, and no snapshot stands for them; such a log "
            "could not be opened. Read the archive as it is (hms sql --archive), or restore a backup of the log"
        )
    if state.snapshot.through > sequence:
        raise ArchiveMismatch(
            f"shard {shard}: its events were deleted up to a snapshot that knows commit {state.snapshot.through}, but all "
            f"shards are archived together up to commit {sequence} only; nothing was restored"
        )


def _start(state: ShardState, topic: str, shard: int) -> int:
    """Return from which position on everything is there: behind every gap, and every tombstone."""
    first = state.covered.get(topic, (0, 0))[0]
    stones = [stone.next for stone in state.tombstones if (stone.topic, stone.shard) == (topic, shard)]
    return max([first, *(gap.next for gap in state.gaps if gap.topic == topic), *stones])


class _Restoring:
    def __init__(self, archive: Archive, cut: RestoreCut) -> None:
        self._archive = archive
        self._cut = cut
        self._records = 0
        self._left_out = 0

    def write(self, path: Path) -> Restored:
        """Write the whole file beside its place, then give it its name."""
        check_free(path)
        part = path.with_name(path.name + ".part")
        for leftover in part.parent.glob(part.name + "*"):
            leftover.unlink()
        write_log(part, self._whole())
        part.rename(path)
        for leftover in part.parent.glob(part.name + "-*"):
            leftover.unlink()
        return self._restored()

    async def write_on_kafka(self, url: str) -> Restored:
        """Write the log's topics, which must not be there yet."""
        from ...core.log.kafka import copying  # noqa: PLC0415 - the embedded log does not pay for aiokafka
        from ...core.log.kafka.address import KafkaAddress  # noqa: PLC0415

        await copying.write_log(KafkaAddress.parse(url), self._whole())
        return self._restored()

    def _whole(self) -> LogCopy:
        copies = {place: self._copy(*place) for place in self._archive.places()}
        copies.update(self._checkpoints())
        epochs = [self._archive.state(shard).epoch for shard in range(self._archive.partitions)]
        settings = {ARCHIVE_SETTING: self._bound().model_dump_json()} if self._is_all() else {}
        return LogCopy(self._archive.partitions, copies, epochs, settings)

    def _restored(self) -> Restored:
        commits = {shard: point.sequence for shard, point in self._cut.points.items()}
        return Restored(self._records, commits, self._left_out, self._is_all())

    def _copy(self, topic: str, shard: int) -> PartitionCopy:
        start = _start(self._archive.state(shard), topic, shard)
        after = (self._archive.covered(topic, shard) or (0, 0))[1]
        return PartitionCopy(start, after, self._held(topic, shard, start, after))

    def _held(self, topic: str, shard: int, start: int, after: int) -> Iterator[Stored]:
        for records in self._archive.read_left(topic, shard, start, after, headers=True):
            for stored in records:
                if self._cut.holds(stored):
                    self._records += 1
                    yield stored
                else:
                    self._left_out += 1

    def _checkpoints(self) -> dict[Place, PartitionCopy]:
        """Return the snapshots' checkpoints of the shards whose first events are gone; of the others that theirs are gone."""
        return {(CHECKPOINTS, shard): self._checkpoints_of(shard) for shard in range(self._archive.partitions)}

    def _checkpoints_of(self, shard: int) -> PartitionCopy:
        state = self._archive.state(shard)
        if state.snapshot is None or _start(state, EVENTS, shard) == 0:
            return PartitionCopy(
                1, 1, ()
            )  # some were there: who verifies a commit's writes must not take them for forged
        table = read_table(self._archive.folder.root / state.snapshot.path, (*RECORD_COLUMNS, "headers"))
        records = records_of(by_position(table), CHECKPOINTS, shard)
        return PartitionCopy(0, records[-1].offset + 1, records)

    def _is_all(self) -> bool:
        """Tell whether nothing is left out, so that the log may go on in this archive."""
        newest_us = max((file.appended_us_max for file in self._archive.files()), default=0)
        ends = [self._archive.state(shard).chain for shard in range(self._archive.partitions)]
        points = [self._cut.points[shard].sequence for shard in range(self._archive.partitions)]
        return newest_us <= self._cut.complete_us and points == [-1 if end is None else end.sequence for end in ends]

    def _bound(self) -> Bound:
        identity = self._archive.identity
        return Bound(archive=identity.id, log=identity.log, url=str(self._archive.folder.root))
