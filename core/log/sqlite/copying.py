"""A new log file made of records that have their offsets and times already: a copy, or a fork, of another log."""

import sqlite3
from pathlib import Path

from ...errors import ValidationFailed
from ..copied import LogCopy, PartitionCopy
from .file import open_file, pack
from .headers import encode_headers
from .layout import Layout
from .times import DEFAULT_TIMES

__all__ = ["LogCopy", "PartitionCopy", "check_free", "write_log"]


def check_free(path: Path) -> None:
    """Look whether a log may be made there. Raises `ValidationFailed`.

    SQLite would take the write-ahead log of a file that is gone for a part of the new one.
    """
    if path.exists():
        raise ValidationFailed(f"{path} is there already; name a new file")
    for left in (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal")):
        if left.exists():
            raise ValidationFailed(f"{left} is left of another log that was there; move it away, or name a new file")


def write_log(path: Path, copy: LogCopy) -> None:
    """Write a log into a file that is not there yet. Raises `ValidationFailed` if it is, `LogUnreachable` if it cannot be."""
    check_free(path)
    _, _, connection = open_file(path, copy.partitions, DEFAULT_TIMES.deadline_ms)
    try:
        connection.execute("BEGIN IMMEDIATE")
        _fill(connection, copy)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.close()


def _fill(connection: sqlite3.Connection, copy: LogCopy) -> None:
    layout = Layout(copy.partitions)
    starts, nexts = [0] * len(layout.keys), [0] * len(layout.keys)
    for (topic, partition), one in copy.places.items():
        place = layout.place(topic, partition)
        starts[place.head], nexts[place.head] = one.start, one.high
        rows = (
            (place.base | stored.offset, stored.at_us, stored.key, stored.value, encode_headers(stored.headers))
            for stored in one.records
        )
        connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?)", rows)
    connection.execute(
        "UPDATE log SET version = version + 1, starts = ?, nexts = ?, epochs = ?",
        (pack(starts), pack(nexts), pack(list(copy.epochs))),
    )
    connection.executemany("INSERT INTO settings VALUES (?, ?)", list(copy.settings.items()))
