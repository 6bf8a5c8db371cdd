"""The writer of one shard's archive: out of the log, into files, under the next manifest.

Exactly once: positions are what the manifests cover; files are named by no one until the manifest is, and a manifest's
number is given once. Whatever dies in between leaves files that nobody names.
"""

import asyncio
import secrets
from contextlib import suppress
from typing import Final, NamedTuple
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from ...core.log.port import EVENTS, SCHEMAS, Log
from ...core.runtime.history import records_between
from ..columns import Columns, Part, Schemas
from .batch import BATCH_RECORDS, Reading, Taken
from .chain import Chain, anchor_of
from .disk import Disk
from .errors import ArchiveFenced, ArchiveMismatch
from .folder import Folder, Identity
from .manifest import Anchor, ArchivedFile, sha256
from .manifests import ArchiveMoved, Manifests
from .parquet import encoded

DAY_US: Final = 86_400_000_000


class Flushed(NamedTuple):
    """What one step archived; `is_behind` says that the log had more."""

    records: int
    files: int
    is_behind: bool


class LogSchemas:
    """The schemas in a log, read as far as is needed."""

    def __init__(self, log: Log) -> None:
        self.schemas = Schemas()
        self._log = log
        self._position = 0
        self._lock = asyncio.Lock()

    async def refresh(self) -> Schemas:
        """Learn what has come since the last time, up to the very end."""
        async with self._lock:
            marks = await self._log.watermarks(SCHEMAS, 0)
            async for records in records_between(self._log, SCHEMAS, 0, max(self._position, marks.start), marks.high):
                for stored in records:
                    self.schemas.learn(stored)
            self._position = marks.high
        return self.schemas


class ShardWriter:
    """Made for one shard and one owner's epoch; `flush` until it is not behind, and again later."""

    def __init__(
        self,
        folder: Folder,
        identity: Identity,
        log: Log,
        shard: int,
        epoch: int,
        owner: str,
        schemas: LogSchemas,
        *,
        disk: Disk | None = None,
        accept_gaps: bool = False,
        records_max: int = BATCH_RECORDS,
    ) -> None:
        self.shard = shard
        self.epoch = epoch
        self.owner = owner
        self.folder = folder
        self.disk = disk or Disk()
        self.manifests = Manifests(folder, identity.id, shard, self.disk)
        self._identity = identity
        self._schemas = schemas
        self._token = secrets.token_hex(4)
        self._reading = Reading(log, shard, accept_gaps=accept_gaps, records_max=records_max)

    async def flush(self, *, even_if_empty: bool = False) -> Flushed:
        """Archive what comes next, if anything does.

        Raises `ArchiveFenced`, `ArchiveMoved` (flush again), `ArchiveMismatch`, `HistoryGap`, `LogUnreachable`, `OSError`.
        """
        state = await asyncio.to_thread(self.manifests.refresh)
        self._check_identity()
        taken = await self._reading.take(state)
        count = sum(len(one.records) for one in taken.values())
        is_behind = not all(one.is_all for one in taken.values())
        moved = any(state.next_of(topic) != one.next for topic, one in taken.items())
        if not (moved or self._reading.gaps or even_if_empty):
            return Flushed(0, 0, is_behind)
        chain = Chain(self.shard, None if self._events_gap() else state.chain)
        chain.follow(taken[EVENTS].records)
        tables = await self._tables(taken)
        files = await asyncio.to_thread(self._write_all, tables)
        try:
            await asyncio.to_thread(self._publish, taken, chain, files)
        except (ArchiveFenced, ArchiveMoved):
            await asyncio.to_thread(self.discard, files)
            raise
        return Flushed(count, len(files), is_behind)

    def _check_identity(self) -> None:
        """Look whether the folder is still the archive: a mount that is gone leaves an empty one in its place."""
        found = self.folder.read_identity()
        if found is None or found.id != self._identity.id:
            raise ArchiveMismatch(
                f"{self.folder.root}: expected archive {self._identity.id}, got {'none' if found is None else found.id}: is the "
                "folder still mounted?"
            )

    def _events_gap(self) -> bool:
        return any(gap.topic == EVENTS for gap in self._reading.gaps)

    async def _tables(self, taken: dict[str, Taken]) -> list[tuple[str, Part]]:
        """Return the tables of every topic's records; schemas that came with them are learned first."""
        columns: list[tuple[str, Columns]] = []
        schemas = self._schemas.schemas
        for topic, one in taken.items():
            if one.records:
                collecting = Columns(schemas)
                collecting.add_many(one.records)
                columns.append((topic, collecting))
        if any(collecting.unknown_schemas() for _, collecting in columns):
            await self._schemas.refresh()
        return await asyncio.to_thread(lambda: [(topic, part) for topic, one in columns for part in one.take()])

    def _write_all(self, tables: list[tuple[str, Part]]) -> list[ArchivedFile]:
        files: list[ArchivedFile] = []
        try:
            for topic, part in tables:
                for date, table in by_day(part.table):
                    files.append(self.write_file(topic, part.type, part.schema_id, date, table))
        except OSError:
            self.discard(files)
            raise
        return files

    def discard(self, files: list[ArchivedFile]) -> None:
        """Delete files that no manifest names and, surely, none will: the next try writes others."""
        for file in files:
            with suppress(OSError):  # what is left is swept later
                self.disk.remove(self.folder.root / file.path)

    def write_file(
        self, topic: str, type_name: str, schema_id: int, date: str, table: pa.Table, *, compacted: bool = False
    ) -> ArchivedFile:
        """Write one file that nobody names yet, durably; the table holds one type, one topic and one day."""
        data = encoded(table, compacted=compacted)
        positions = table.column("position").to_numpy()
        times = table.column("appended_at").cast(pa.int64()).to_numpy()
        first, after = int(positions.min()), int(positions.max()) + 1
        name = f"{topic}-{self.shard}-{first}-{after}-{self._token}{secrets.token_hex(2)}.parquet"
        path = self.folder.data / f"type={_in_path(type_name)}" / f"date={date}" / name
        if not self.disk.put(path, data):
            raise FileExistsError(17, "a file of that name is there, which nobody else can have made", str(path))
        return ArchivedFile(
            path=str(path.relative_to(self.folder.root)),
            type=type_name,
            topic=topic,
            shard=self.shard,
            date=date,
            first=first,
            next=after,
            rows=table.num_rows,
            bytes=len(data),
            sha256=sha256(data),
            appended_us_min=int(times.min()),
            appended_us_max=int(times.max()),
            schema_id=schema_id,
            raw_bytes=table.nbytes,
            compacted=compacted,
        )

    def _publish(self, taken: dict[str, Taken], chain: Chain, files: list[ArchivedFile]) -> None:
        state = self.manifests.state
        covered = dict(state.covered)
        complete = dict(state.complete_us)
        anchors: dict[str, Anchor] = dict(state.anchors)
        for topic, one in taken.items():
            first = covered.get(topic, (one.first, 0))[0]
            covered[topic] = (first, one.next)
            complete[topic] = complete.get(topic, 0) if one.complete_us is None else one.complete_us
            if one.records:
                anchors[topic] = anchor_of(one.records[-1])
        self.manifests.publish(
            self.epoch,
            self.owner,
            "append",
            covered=covered,
            complete_us=complete,
            chain=chain.link,
            anchors=anchors,
            add=tuple(files),
            gaps=tuple(self._reading.gaps),
        )


def by_day(table: pa.Table) -> list[tuple[str, pa.Table]]:
    """Return a table cut into the days (UTC) on which its records were appended."""
    days = table.column("appended_at").cast(pa.int64()).to_numpy() // DAY_US
    found = np.unique(days)
    if len(found) == 1:
        return [(_date(int(found[0])), table)]
    return [(_date(int(day)), table.filter(pa.array(days == day))) for day in found]


def _in_path(type_name: str) -> str:
    """Return a type's name as a folder may be called: whoever writes a schema calls it what he likes, `../..` or worse."""
    return quote(type_name, safe="")[:200]


def _date(day: int) -> str:
    return str(np.datetime64(day, "D"))
