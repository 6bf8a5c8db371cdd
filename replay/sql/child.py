"""The process in which queries run: `python -m hms.replay.sql.child`, started by `session.py`, spoken to by `frames.py`.

It gets the views' definitions, names of Parquet files, and what is not archived yet as Arrow files; of the log it knows
nothing. Before the first query it gives up everything but reading those.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from .confinement import confine, end_with_parent, limit_cpu, limit_memory
from .errors import QueryRefused
from .frames import write
from .fresh import Fresh
from .gate import check
from .limits import MB
from .sendable import sendable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROWS: Final = 20_000
OVERHEAD_MB: Final = 768
"""Of address space for what is no data: threads, their arenas, the library's own."""
STEADY: Final = 0.8
"""DuckDB's own limit, as a share of all: it does not count everything that it uses."""


_OUR_VIEWS: Final = (
    "SELECT schema_name AS app, view_name AS name FROM duckdb_views() "
    "WHERE NOT internal AND NOT temporary AND schema_name NOT IN ('hms', 'fresh') ORDER BY ALL"
)
_INSTEAD: Final = {"show tables": _OUR_VIEWS, "show all tables": _OUR_VIEWS}
"""What lists the views without the tables below them."""


class Child:
    """One database in memory, and the queries on it."""

    def __init__(self, order: dict[str, Any], out: BinaryIO) -> None:
        import duckdb  # noqa: PLC0415 - here, so that the session can import this module's neighbours without it
        import pyarrow as pa  # noqa: PLC0415

        self._arrow = pa
        self._error = duckdb.Error
        self._out = out
        self._tables: dict[str, Any] = {}
        self._cpu_s = order["timeout_ms"] * order["threads"] // 1_000 + 1
        self._views: dict[str, str] = {}
        self._connection = self._connect(duckdb, order)
        self._fresh = Fresh(self._connection)
        limit_memory((order["memory_mb"] + OVERHEAD_MB) * MB)
        confine(order["readable"])
        self._connection.execute(f"SET threads={order['threads']}")  # they are born confined
        self._connection.execute("SET lock_configuration=true")

    def _connect(self, duckdb: Any, order: dict[str, Any]) -> "DuckDBPyConnection":
        memory_mb = int(order["memory_mb"] * STEADY)
        config = {"memory_limit": f"{memory_mb}MB", "threads": 1, "temp_directory": ""}
        connection: DuckDBPyConnection = duckdb.connect(config=config)
        for setting in (
            "TimeZone='UTC'",
            "autoinstall_known_extensions=false",
            "autoload_known_extensions=false",
            "python_enable_replacements=false",
            "parquet_metadata_cache=true",
            f"allowed_directories=[{', '.join(_quoted(folder) for folder in order['folders'])}]",
            "enable_external_access=false",
        ):
            connection.execute(f"SET {setting}")
        return connection

    def define(self, order: dict[str, Any]) -> None:
        """Take tables, in the place of all before, and views over them; say which file of the archive cannot be read."""
        try:
            self._define(order)
        except self._error as error:
            said = str(error).partition("\n")[0]
            write(self._out, refused=f"{said}; `hms archive verify` names all that is wrong with the archive")
        else:
            write(self._out, ok=True)

    def _define(self, order: dict[str, Any]) -> None:
        for name in self._tables.keys() - order["tables"].keys():
            self._connection.unregister(name)
            del self._tables[name]
        for name, path in order["tables"].items():
            if name not in self._tables:
                with self._arrow.memory_map(path) as source:
                    self._tables[name] = self._arrow.ipc.open_file(source).read_all()
                self._connection.register(name, self._tables[name])
        self._fresh.define(order["fresh"])
        for statement in order["statements"]:
            name, _, body = statement.partition(" AS ")
            if self._views.get(name) != body:
                self._connection.execute(statement)
                self._views[name] = body

    def names(self, order: dict[str, Any]) -> None:
        """Say what a query reads, or why it is refused."""
        self._guarded(lambda: write(self._out, ok=True, names=check(self._connection, order["sql"])))

    def query(self, order: dict[str, Any]) -> None:
        """Run one query; refusals and ends are answers."""
        limit_cpu(self._cpu_s)
        self._guarded(lambda: self._run(order))

    def _guarded(self, do: Callable[[], None]) -> None:
        try:
            do()
        except QueryRefused as error:
            write(self._out, refused=str(error))
        except MemoryError:
            write(self._out, stopped="memory")
        except self._error as error:
            name = type(error).__name__
            write(self._out, **{"stopped": "memory"} if name == "OutOfMemoryException" else {"refused": str(error)})

    def _run(self, order: dict[str, Any]) -> None:
        check(self._connection, order["sql"])
        self._connection.execute("BEGIN TRANSACTION READ ONLY")
        try:
            self._answer(order["sql"], order["parameters"])
        finally:
            with contextlib.suppress(self._error):
                self._connection.execute("ROLLBACK")

    def _answer(self, sql: str, parameters: dict[str, Any]) -> None:
        sql = _INSTEAD.get(" ".join(sql.strip().rstrip(";").lower().split()), sql)
        relation = self._connection.sql(sql, params=parameters or None)
        reader = sendable(relation).to_arrow_reader(ROWS)
        named = [field.with_name(name) for field, name in zip(reader.schema, relation.columns, strict=True)]
        write(self._out, self._arrow.schema(named).serialize(), schema=True)
        for batch in reader:
            write(self._out, batch.serialize(), rows=batch.num_rows)
        write(self._out, end=True)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def main() -> None:
    """Serve until the input ends."""
    end_with_parent()
    orders, out = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints, prints where it disturbs nobody
    child = Child(json.loads(orders.readline()), out)
    write(out, ok=True)
    for order in map(json.loads, orders):
        {"names": child.names, "views": child.define, "query": child.query}[order["op"]](order)


if __name__ == "__main__":
    main()
