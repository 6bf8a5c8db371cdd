"""Queries on a history: each at one moment, over archive and log, in a child process that can do nothing else."""

import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, cast

from ..history import AsOf, History, Place
from .catalog import SOURCES, Catalog, Kind, own_schemas
from .composed import COMPOSED
from .fresh import FRESH_ROWS_MAX
from .limits import Limits, default_limits
from .live import Live, write_file
from .names import Names
from .process import Process
from .views import ENTIRE, Part, Views, shape_of

if TYPE_CHECKING:
    import pyarrow as pa

    from ..archive.manifest import ArchivedFile
    from ..archive.reader import Archive

_TOPICS: Final = tuple(topic for topics in SOURCES.values() for topic in topics)
_SOURCE_OF: Final = {topic: source for source, topics in SOURCES.items() for topic in topics}


class Answer(NamedTuple):
    """An answer on its way: of which moment, its columns, its rows as they come, and how many archived ranges are gone."""

    as_of: AsOf
    schema: "pa.Schema"
    batches: "AsyncIterator[pa.RecordBatch]"
    expired: int = 0
    """Ranges that the archive has deleted by policy: what was in them is in no answer."""


class Session:
    """Use it as `async with Session(history) as session`; a query that is cancelled leaves it usable."""

    def __init__(self, history: History, archive: "Archive | None" = None, limits: Limits | None = None) -> None:
        self._history = history
        self._archive = archive
        self._limits = limits or default_limits()
        self._folder = tempfile.TemporaryDirectory(prefix="hms-sql-")
        self._live = Live(history, Path(self._folder.name))
        self._own = own_schemas()
        self.catalog = Catalog((), self._own)
        self._process: Process | None = None
        self._shapes: dict[str, Path] = {}
        self._shape_count = 0
        self._root = "" if archive is None else str(archive.folder.root.resolve())
        self._covered: dict[Place, int] = {}

    async def __aenter__(self) -> Self:
        """Learn the schemas in the log."""
        await self._learn()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the child, and remove what was written for it."""
        if self._process is not None:
            await self._process.close()
        self._folder.cleanup()

    async def ask(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """Run one SELECT on the history as it is now; raises `QueryRefused`, `QueryStopped`, and what the log raises."""
        process = await self._running()
        names = await process.names(sql)
        as_of = await self._prepare(process, names)
        parts = process.query(sql, dict(parameters or {}))
        schema = cast("pa.Schema", await anext(parts))
        expired = 0 if self._archive is None else len(self._archive.tombstones())
        return Answer(as_of, schema, parts, expired)

    async def changed(self, as_of: AsOf, timeout_ms: int) -> bool:
        """Wait until anything has come that was not there at a moment; return whether it has."""
        log = self._history.log
        if log is None:
            return False
        await log.wait({place: at for place, at in as_of.positions.items() if place[0] in _TOPICS}, timeout_ms)
        newest = await self._history.as_of(_TOPICS)
        return any(newest.positions[place] > at for place, at in as_of.positions.items())

    # --- what a query reads -------------------------------------------------------------------------------------

    async def _prepare(self, process: Process, names: Names) -> AsOf:
        """Bring what a query reads up to now, and define its views."""
        await self._learn()
        as_of = await self._history.as_of(_TOPICS)  # which looks at the archive anew
        files = self._archived()
        wanted = self._wanted(names)
        loaded = [] if names.everything else [kind.type for kind in wanted.values()]
        await self._live.load(loaded, self._covered, as_of)
        await self._define(process, wanted, names, files)
        return as_of

    def _archived(self) -> "Sequence[ArchivedFile]":
        """Return the archive's files; what is live begins where it ends."""
        if self._archive is None:
            return ()
        covered = {place: position for place, position in self._archive.positions().items() if place[0] in _TOPICS}
        if covered != self._covered:
            self._covered = covered
            self._live.forget()
        return self._archive.files()

    async def _learn(self) -> bool:
        if not await self._live.learn():
            return False
        self.catalog = Catalog(self._live.schemas(), self._own)
        self._shapes.clear()
        return True

    def _wanted(self, names: Names) -> dict[str, Kind]:
        """Return the types that a query reads, by themselves or through the views made of them."""
        catalog = self.catalog
        if names.everything:
            return dict(catalog.kinds)
        found: dict[str, Kind] = {}
        for schema, name in names.views:
            if schema in {"", "main"} and name in ENTIRE:
                return dict(catalog.kinds)
            inner = COMPOSED[name].of if schema in {"", "main"} and name in COMPOSED else ((schema, name),)
            for one in inner:
                kind = catalog.find(*(("", one) if isinstance(one, str) else one))
                if kind is not None:
                    found.update({one.type: one for one in (kind, *catalog.former(kind))})
        return found

    async def _define(
        self, process: Process, wanted: Mapping[str, Kind], names: Names, files: "Sequence[ArchivedFile]"
    ) -> None:
        parts = self._parts(wanted, files)
        entire = [name for schema, name in names.views if schema in {"", "main"} and name in ENTIRE]
        present = {name for _, name in parts}
        if entire and not names.everything:  # these need no view a type
            wanted = {name: kind for name, kind in wanted.items() if self._is_named(kind, names)}
        shaped = {"hms.Commit", *wanted, *present} if entire or names.everything else set(wanted)
        shapes = {name: self._shape(self.catalog.kinds[name]) for name in shaped}
        views = Views(self.catalog, {name: f"{path.stem} {name}" for name, path in shapes.items()}, parts)
        tables = {f"{path.stem} {name}": str(path) for name, path in shapes.items()}
        for part, key in ((parts[key], key) for key in parts):
            tables.update(zip(part.tables, map(str, self._live.files.get(key, ())), strict=True))
        statements = [statement for kind in wanted.values() for statement in views.of_type(kind)]
        statements += [views.entire(name) for name in (ENTIRE if names.everything else dict.fromkeys(entire))]
        named = {name for schema, name in names.views if schema in {"", "main"}}
        statements += [views.composed(name) for name in COMPOSED if names.everything or name in named]
        fresh = {name: alike for part in parts.values() for name, alike in part.fresh}
        await process.define(tables, statements, fresh)

    def _is_named(self, kind: Kind, names: Names) -> bool:
        inner = {one for _, name in names.views if name in COMPOSED for one in COMPOSED[name].of}
        return kind.view.name in inner or any(self.catalog.find(*view) is kind for view in names.views)

    def _parts(self, wanted: Mapping[str, Kind], files: "Iterable[ArchivedFile]") -> dict[tuple[str, str], Part]:
        large: dict[tuple[str, str], dict[int, list[str]]] = {}
        small: dict[tuple[str, str], dict[int, list[str]]] = {}
        for file in files:
            if file.type in wanted and file.topic in _SOURCE_OF:
                listed = small if file.rows <= FRESH_ROWS_MAX and not file.compacted else large
                by_schema = listed.setdefault((_SOURCE_OF[file.topic], file.type), {})
                by_schema.setdefault(file.schema_id, []).append(f"{self._root}/{file.path}")
        keys = {*large, *small, *(key for key in self._live.files if key[1] in wanted)}
        return {
            key: Part(
                tuple(f"{path.stem} {key[1]}" for path in self._live.files.get(key, ())),
                tuple(tuple(alike) for alike in large.get(key, {}).values()),
                tuple((f"{' '.join(key)} {schema}", tuple(alike)) for schema, alike in small.get(key, {}).items()),
            )
            for key in keys
        }

    def _shape(self, kind: Kind) -> Path:
        if kind.type not in self._shapes:
            self._shape_count += 1
            path = Path(self._folder.name) / f"shape-{self._shape_count}.arrow"
            self._shapes[kind.type] = write_file(shape_of(kind).empty_table(), path)
        return self._shapes[kind.type]

    # --- the child ----------------------------------------------------------------------------------------------

    async def _running(self) -> Process:
        """Return the child; a new one where the last query took it with it."""
        if self._process is None or not self._process.alive:
            self._process = await Process.start(self._limits, [self._root] if self._root else [], [self._folder.name])
        return self._process
