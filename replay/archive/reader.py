"""An archive as its readers see it: what is in it, which files hold that, and the records again, byte for byte."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from ...core.errors import ValidationFailed
from ...core.log.port import SCHEMAS, Stored
from ..columns import Schemas
from .errors import ArchiveDamaged, HistoryGap, RangeExpired
from .folder import Folder, Identity, folder_of
from .manifest import ArchivedFile, Gap, Tombstone
from .manifests import Manifests
from .parquet import RECORD_COLUMNS, by_position, read_table, records_of
from .shard_state import ShardState

Place = tuple[str, int]
WINDOW: Final = 8_000
"""Positions that are put in order at once."""


class Archive:
    """Made by `open`; shows what was archived when it was last refreshed."""

    def __init__(self, folder: Folder, identity: Identity) -> None:
        self.folder = folder
        self.identity = identity
        self.partitions = identity.partitions
        self._manifests = [Manifests(folder, identity.id, shard) for shard in range(identity.partitions)]

    @classmethod
    async def open(cls, url: str | Path) -> "Archive":
        """Open the archive in a folder; raises `ValidationFailed` where none is, `ArchiveDamaged`."""
        folder = Folder(url if isinstance(url, Path) else folder_of(url))
        identity = await asyncio.to_thread(folder.read_identity)
        if identity is None:
            raise ValidationFailed(
                f"{folder.root}: there is no archive; expected one made by `hms archive run --archive {url}`, or by a node with "
                "--archive"
            )
        archive = cls(folder, identity)
        await archive.refresh()
        return archive

    async def refresh(self) -> None:
        """Learn what was archived since the last time."""
        await asyncio.to_thread(lambda: [manifests.refresh() for manifests in self._manifests])

    # --- what is there ------------------------------------------------------------------------------------------

    def state(self, shard: int) -> ShardState:
        """Return what is known of a shard."""
        return self._manifests[shard].state

    def places(self) -> list[Place]:
        """Return every (topic, partition) of which something is archived."""
        return [(topic, shard) for shard in range(self.partitions) for topic in self.state(shard).covered]

    def covered(self, topic: str, partition: int) -> tuple[int, int] | None:
        """Return the first position and the next one; None for a place of which nothing is archived."""
        return self.state(partition).covered.get(topic)

    def positions(self) -> dict[Place, int]:
        """Return the position behind what is archived, of every place."""
        return {(topic, shard): self.state(shard).covered[topic][1] for topic, shard in self.places()}

    def files(
        self,
        topic: str | None = None,
        type: str | None = None,  # noqa: A002 - what a type is called everywhere
        positions: Mapping[Place, int] | None = None,
    ) -> list[ArchivedFile]:
        """Return the files that count: of a topic, of a type, with any record below some places' positions.

        A file whose `next` is above a position holds records that lie beyond it: filter by `position`.
        """
        return [
            file
            for shard in range(self.partitions)
            for file in self.state(shard).files.values()
            if topic in {None, file.topic}
            and type in {None, file.type}
            and (positions is None or file.first < positions.get((file.topic, file.shard), 0))
        ]

    def path(self, file: ArchivedFile) -> Path:
        """Return where a file is."""
        return self.folder.root / file.path

    def tombstones(self) -> list[Tombstone]:
        """Return what was deleted by policy."""
        return [one for shard in range(self.partitions) for one in self.state(shard).tombstones]

    def gaps(self) -> list[Gap]:
        """Return what was never archived."""
        return [one for shard in range(self.partitions) for one in self.state(shard).gaps]

    # --- records ------------------------------------------------------------------------------------------------

    async def records(
        self, topic: str, partition: int, start: int, end: int, *, headers: bool = False
    ) -> AsyncIterator[list[Stored]]:
        """Yield the archived records from `start` to below `end`, in order.

        Raises `HistoryGap` for what is not covered, `RangeExpired` for what is under a tombstone, `ArchiveDamaged`.
        """
        reading = self.read(topic, partition, start, end, headers=headers)
        while (found := await asyncio.to_thread(next, reading, None)) is not None:
            yield found

    def read(
        self, topic: str, partition: int, start: int, end: int, *, headers: bool = False
    ) -> Iterator[list[Stored]]:
        """Do as `records` does, on the caller's thread."""
        self.check_range(topic, partition, start, end)
        return self.read_left(topic, partition, start, end, headers=headers)

    def read_left(
        self, topic: str, partition: int, start: int, end: int, *, headers: bool = False
    ) -> Iterator[list[Stored]]:
        """Yield what is left of a range, whatever was deleted from it by policy; in order."""
        waiting = self._overlapping(topic, partition, start, end)
        active: list[_Opened] = []
        position = start
        while position < end and (active or waiting):
            if not active:
                position = max(position, waiting[0].first)
            until = min(end, position + WINDOW)
            while waiting and waiting[0].first < until:
                active.append(_Opened(self, waiting.pop(0), headers=headers))
            found = _merged(active, position, until, topic, partition)
            if found:
                yield found
            active = [one for one in active if one.file.next > until]
            position = until

    def check_range(self, topic: str, partition: int, start: int, end: int) -> None:
        """Raise why a range cannot be read, if it cannot: not covered, never archived, or deleted by policy."""
        first, after = self.covered(topic, partition) or (0, 0)
        if start < first or end > after:
            missing = (start, min(first, end)) if start < first else (max(after, start), end)
            raise HistoryGap(topic, partition, *missing, f"the archive holds {first} to below {after}")
        state = self.state(partition)
        for gap in state.gaps:
            if gap.topic == topic and gap.first < end and gap.next > start:
                raise HistoryGap(topic, partition, gap.first, gap.next, gap.why)
        for stone in state.tombstones:
            if stone.topic == topic and stone.first < end and stone.next > start:
                why = f"{stone.rows} of type {stone.type} deleted by policy: {stone.why}"
                raise RangeExpired(topic, partition, stone.first, stone.next, why)

    def _overlapping(self, topic: str, partition: int, start: int, end: int) -> list[ArchivedFile]:
        files = [
            file for file in self.files(topic) if file.shard == partition and file.first < end and file.next > start
        ]
        return sorted(files, key=lambda file: file.first)

    def first_since(self, topic: str, partition: int, since_us: int) -> int | None:
        """Return the position of the first archived record that was appended at or after an instant, if there is one."""
        best: int | None = None
        files = [file for file in self.files(topic) if file.shard == partition and file.appended_us_max >= since_us]
        for file in sorted(files, key=lambda file: file.first):
            if best is not None and file.first >= best:
                break
            if file.appended_us_min >= since_us:
                found = file.first
            else:
                table = read_table(self.path(file), ("position", "appended_at"))
                times = table.column("appended_at").cast(pa.int64()).to_numpy()
                found = int(table.column("position").to_numpy()[times >= since_us].min())
            best = found if best is None else min(best, found)
        return best

    async def schemas(self) -> Schemas:
        """Return the schemas that are archived, which read everything that is."""
        schemas = Schemas()
        for topic, shard in self.places():
            if topic == SCHEMAS:
                first, after = self.state(shard).covered[topic]
                start = max([first, *(gap.next for gap in self.state(shard).gaps if gap.topic == SCHEMAS)])
                async for records in self.records(topic, shard, start, after):
                    for stored in records:
                        schemas.learn(stored)
        return schemas


class _Opened:
    """A file's records in the order of the log, held until what they overlap with is passed."""

    def __init__(self, archive: Archive, file: ArchivedFile, *, headers: bool) -> None:
        columns = (*RECORD_COLUMNS, "headers") if headers else RECORD_COLUMNS
        path = archive.path(file)
        table = read_table(path, columns)
        if table.num_rows != file.rows:
            raise ArchiveDamaged(f"{path}: expected {file.rows} rows, as its manifest says, got {table.num_rows}")
        self.file = file
        self._table = by_position(table)
        self._positions = self._table.column("position").to_numpy()

    def between(self, start: int, end: int) -> pa.Table:
        low, high = np.searchsorted(self._positions, (start, end))
        return self._table.slice(int(low), int(high - low))


def _merged(active: list[_Opened], start: int, end: int, topic: str, shard: int) -> list[Stored]:
    found: list[Stored] = []
    runs = 0
    for one in active:
        part = one.between(start, end)
        if part.num_rows:
            found += records_of(part, topic, shard)
            runs += 1
    if runs > 1:
        found.sort(key=_offset)
    return found


def _offset(stored: Stored) -> int:
    return stored[2]
