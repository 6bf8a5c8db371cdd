"""Small files, of which a day's flushes leave many: opened one by one they cost more than all that is in them.

A query that is the only one reads them where they are. A session that asks again has them in memory from then on.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FRESH_ROWS_MAX: Final = 5_000
"""A file of more rows is worth opening."""
SCHEMA: Final = "fresh"


class Fresh:
    """Tables `fresh.NAME`, each of some files of one schema."""

    def __init__(self, connection: "DuckDBPyConnection") -> None:
        self._connection = connection
        self._files: dict[str, set[str]] = {}
        self._loaded: set[str] = set()
        connection.execute(f"CREATE SCHEMA {SCHEMA}")

    def define(self, wanted: Mapping[str, Sequence[str]]) -> None:
        """Let there be these, of these files."""
        for name, files in wanted.items():
            if name not in self._files:
                self._read_where_they_are(name, files)
            elif name in self._loaded and self._files[name] <= set(files):
                self._add(name, sorted(set(files) - self._files[name]))
            else:
                self._load(name, files)
            self._files[name] = set(files)

    def _read_where_they_are(self, name: str, files: Sequence[str]) -> None:
        self._connection.execute(f"CREATE VIEW {quoted(name)} AS SELECT * FROM {parquet(files)}")  # noqa: S608

    def _load(self, name: str, files: Sequence[str]) -> None:
        kind = "TABLE" if name in self._loaded else "VIEW"
        self._connection.execute(f"DROP {kind} {quoted(name)}")
        self._connection.execute(f"CREATE TABLE {quoted(name)} AS SELECT * FROM {parquet(files)}")  # noqa: S608
        self._loaded.add(name)

    def _add(self, name: str, files: Sequence[str]) -> None:
        if files:
            self._connection.execute(f"INSERT INTO {quoted(name)} SELECT * FROM {parquet(files)}")  # noqa: S608


def quoted(name: str) -> str:
    """Return the name of such a table as SQL writes it."""
    return f'{SCHEMA}."{name.replace(chr(34), chr(34) * 2)}"'


def parquet(files: Sequence[str]) -> str:
    """Return what reads files of one schema."""
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    return f"read_parquet([{listed}], hive_partitioning => false)"
