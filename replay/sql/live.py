"""What is not archived yet, as Arrow files: read once from the log, then as far as it has grown; only the types asked for."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...core.log.port import SCHEMAS, Stored
from ...schemas import FRAME_BYTES
from ..columns import Columns, Schemas
from ..history import AsOf, History, Place
from .catalog import SCHEMA, SOURCES, UNREADABLE

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_RECORDS: Final = 20_000
"""Decoded at once; whoever wants to stop waits for that long."""
FILES_MAX: Final = 16
"""Small ones of one type; more are made into one."""
_SOURCE_OF: Final = {topic: source for source, topics in SOURCES.items() for topic in topics}


class Live:
    """The tail of a history, from where its archive ends; `folder` is for the Arrow files, and this object's alone."""

    def __init__(self, history: History, folder: Path) -> None:
        self._history = history
        self._folder = folder
        self._schemas = Schemas()
        self._schemas_at = 0
        self._texts: dict[int, str] = {}
        self._at: dict[Place, int] = {}
        self._types: set[str] = set()
        self.files: dict[tuple[str, str], list[Path]] = {}
        """By source and type."""
        self._rows: dict[Path, int] = {}
        self._written = 0

    def schemas(self) -> list[dict[str, Any]]:
        """Return the wire schemas in the log, oldest first."""
        return [json.loads(text) for text in self._texts.values()]

    async def learn(self) -> bool:
        """Read the schemas that have come; return whether any has."""
        start, end = await self._history.bounds(SCHEMAS, 0)
        count = len(self._texts)
        async for records in self._history.records(SCHEMAS, 0, max(start, self._schemas_at), end):
            for stored in records:
                if self._schemas.learn(stored):
                    self._texts.setdefault(int(stored.key), (stored.value or b"").decode())
        self._schemas_at = end
        return len(self._texts) > count

    async def load(self, types: Iterable[str], starts: Mapping[Place, int], until: AsOf) -> list[tuple[str, str]]:
        """Bring the tables of some types up to a moment; return the keys of `files` that have changed.

        What was loaded before is not read again; a type that is new is read from `starts`.
        """
        new = set(types) - self._types
        begun = dict(self._at)
        columns = {source: Columns(self._schemas) for source in SOURCES}
        changed: set[tuple[str, str]] = set()
        for place, end in until.positions.items():
            if place[0] not in _SOURCE_OF:
                continue
            start = starts.get(place, 0)
            at = max(begun.get(place, start), start)
            if new and at > start:
                await self._read(place, start, at, new, columns, changed)
            if self._types | new:
                await self._read(place, at, end, self._types | new, columns, changed)
            self._at[place] = end
        for source, collected in columns.items():
            self._flush(source, collected, changed)
        self._types |= new
        return sorted(changed)

    def forget(self) -> None:
        """Drop everything: the archive has grown, so what is live has another beginning."""
        for files in self.files.values():
            for file in files:
                file.unlink(missing_ok=True)
        self.files.clear()
        self._at.clear()
        self._types.clear()

    async def _read(
        self,
        place: Place,
        start: int,
        end: int,
        types: set[str],
        columns: Mapping[str, Columns],
        changed: set[tuple[str, str]],
    ) -> None:
        frames: dict[bytes, bool] = {}
        collected, count = columns[_SOURCE_OF[place[0]]], 0
        async for records in self._history.records(*place, start, end, headers=True):
            await asyncio.sleep(0)  # an embedded log is read without ever waiting: let Ctrl-C in
            wanted = [stored for stored in records if self._is_wanted(stored, types, frames)]
            collected.add_many(wanted)
            count += len(wanted)
            if count >= CHUNK_RECORDS:
                self._flush(_SOURCE_OF[place[0]], collected, changed)
                count = 0

    def _is_wanted(self, stored: Stored, types: set[str], frames: dict[bytes, bool]) -> bool:
        frame = b"" if stored.topic == SCHEMAS else (stored.value or b"")[:FRAME_BYTES]
        known = frames.get(frame)
        if known is None:
            name = SCHEMA if stored.topic == SCHEMAS else self._type_of(frame)
            known = frames[frame] = name in types
        return known

    def _type_of(self, frame: bytes) -> str:
        kind = self._schemas.get(int.from_bytes(frame[1:], "big")) if frame[:1] == b"\0" else None
        return UNREADABLE if kind is None else kind.name

    def _flush(self, source: str, columns: Columns, changed: set[tuple[str, str]]) -> None:
        for part in columns.take():
            key = source, part.type
            files = self.files.setdefault(key, [])
            files.append(self._write(part.table))
            changed.add(key)
            small = [file for file in files if self._rows[file] < CHUNK_RECORDS // 2]
            if len(small) > FILES_MAX:
                self._merge(files, small)

    def _merge(self, files: list[Path], small: list[Path]) -> None:
        """Make one file of those small ones that have the same columns as the newest."""
        import pyarrow as pa  # noqa: PLC0415

        tables = [_read_file(file) for file in small]
        alike = [index for index, table in enumerate(tables) if table.schema == tables[-1].schema]
        merged = self._write(pa.concat_tables([tables[index] for index in alike]))
        for index in alike:
            files.remove(small[index])
            small[index].unlink()
        files.append(merged)

    def _write(self, table: "pa.Table") -> Path:
        self._written += 1
        path = write_file(table, self._folder / f"live-{self._written}.arrow")
        self._rows[path] = table.num_rows
        return path


def write_file(table: "pa.Table", path: Path) -> Path:
    """Write an Arrow file."""
    import pyarrow as pa  # noqa: PLC0415

    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return path


def _read_file(path: Path) -> "pa.Table":
    import pyarrow as pa  # noqa: PLC0415

    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()
