"""The database file: its tables, how it is opened, and whose it is.

`PRAGMA user_version` is the version of these tables. One row of `log` holds, packed as little-endian 64-bit integers,
every partition's start and next offset and every shard's epoch: each transaction needs them all, and one row costs one
read and one page. WAL and `synchronous=FULL`: an answered commit survives a power cut.
"""

import os
import sqlite3
import struct
import time
from pathlib import Path
from typing import Final, NamedTuple

from ...errors import LogUnreachable, ValidationFailed
from ...private_folder import make_private
from ..port import DEFAULT_PARTITIONS
from .layout import Layout

APPLICATION_ID: Final = 0x484D534C  # "HMSL"
SCHEMA_VERSION: Final = 1
WAL_BYTES: Final = 16 << 20
BUSY_PAUSE_S: Final = 0.0003
"""SQLite's own busy_timeout sleeps coarsely: its p99 was a second beside one other writer; this one's is 4 ms."""

PATH_BYTES_MAX: Final = 504
"""SQLite's limit of 512 includes the names of the files beside the log."""
_LET_IN: Final = "let it read and write there (chown, chmod, remount), or name another log (--log, HMS_LOG)"

_PRAGMAS: Final = (
    "synchronous=FULL",
    "fullfsync=ON",
    "checkpoint_fullfsync=ON",
    "wal_autocheckpoint=0",
    f"journal_size_limit={WAL_BYTES}",
    "cache_size=-16384",
)

_TABLES: Final = """
CREATE TABLE records (position INTEGER PRIMARY KEY, at INTEGER NOT NULL, key BLOB NOT NULL, value BLOB, headers BLOB NOT NULL);
CREATE TABLE log (id INTEGER PRIMARY KEY CHECK (id = 1), partitions INTEGER NOT NULL, version INTEGER NOT NULL,
  generation INTEGER NOT NULL, starts BLOB NOT NULL, nexts BLOB NOT NULL, epochs BLOB NOT NULL);
CREATE TABLE shards (shard INTEGER PRIMARY KEY, owner TEXT, holder TEXT, target TEXT);
CREATE TABLE nodes (node TEXT PRIMARY KEY, session TEXT NOT NULL, boot TEXT NOT NULL, expires_us INTEGER NOT NULL,
  seen_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class State(NamedTuple):
    """The one row of `log`: `version` grows with every transaction that writes, `generation` with every reassignment."""

    version: int
    generation: int
    starts: tuple[int, ...]
    nexts: tuple[int, ...]
    epochs: tuple[int, ...]


SELECT_STATE: Final = "SELECT version, generation, starts, nexts, epochs FROM log"


def read_state(connection: sqlite3.Connection) -> State:
    """Return the row as of now, or as of the transaction that is open."""
    version, generation, starts, nexts, epochs = connection.execute(SELECT_STATE).fetchone()
    return State(version, generation, unpack(starts), unpack(nexts), unpack(epochs))


def pack(numbers: tuple[int, ...] | list[int]) -> bytes:
    """Pack 64-bit integers."""
    return struct.pack(f"<{len(numbers)}q", *numbers)


def unpack(data: bytes) -> tuple[int, ...]:
    """Unpack what `pack` gave."""
    return struct.unpack(f"<{len(data) // 8}q", data)


def is_busy(error: sqlite3.Error) -> bool:
    """Say whether another connection was in the way, so that trying again is right."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PROTOCOL,
    )


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection to a log that exists: no waiting for locks, full durability, checkpoints by `Checkpointer` only."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(
        uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=64
    )
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def open_file(path: Path, partitions: int | None, deadline_ms: int) -> tuple[Path, int, sqlite3.Connection]:
    """Create the log if it is not there; return its absolute path, its partition count and a connection.

    The connection is for keeping: whoever closes the last one locks the file to everybody for a moment, and whoever
    connects anew can meet another process in that moment.

    Raises `ValidationFailed` for a file of somebody else, of a newer version or with another partition count,
    `LogUnreachable` when it cannot be opened or stays locked.
    """
    path = path.expanduser().absolute()
    if partitions is not None:
        Layout(partitions)  # refuses an impossible count before there is a file
    _check_length(path)
    deadline = time.monotonic() + deadline_ms / 1000
    while True:
        try:
            _create_empty(path)
            connection, recorded = _prepare(path, partitions)
        except sqlite3.Error as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise _cannot_open(path, error) from error
        except OSError as error:
            raise LogUnreachable(f"cannot open the log {path}: {_refused(error, path)}") from error
        else:
            return path, recorded, connection
        time.sleep(BUSY_PAUSE_S)  # in a thread of its own; SQLite tells nobody when a lock is free


def _cannot_open(path: Path, error: sqlite3.Error) -> Exception:
    if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
        return ValidationFailed(f"{path} is not an SQLite file, so not a log; name another path")
    return LogUnreachable(f"cannot open the log {path}: {_locked_out(path) or error}")


def _locked_out(path: Path) -> str:
    """Return what keeps this user from the log, which SQLite does not say; nothing if that is not the reason."""
    if not os.access(path, os.R_OK | os.W_OK):
        return f"user {os.geteuid()} may not read and write it; {_LET_IN}"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"user {os.geteuid()} may not write its folder; {_LET_IN}"
    return ""


def _refused(error: OSError, path: Path) -> str:
    """Say what the operating system refused, and what to do."""
    return f"{error.filename or path}: {error.strerror or error}; {_LET_IN}"


def _check_length(path: Path) -> None:
    length = len(os.fsencode(path))
    if length > PATH_BYTES_MAX:
        raise LogUnreachable(
            f"cannot open the log {path}: expected a path of at most {PATH_BYTES_MAX} bytes (SQLite takes no longer "
            f"one), got {length}; name a shorter one (--log, HMS_LOG or XDG_STATE_HOME)"
        )


def _create_empty(path: Path) -> None:
    """Make the file ours alone before SQLite sees it: the WAL and its index take over its mode."""
    if path.exists():
        return
    make_private(path.parent)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _sync_folder(folder: Path) -> None:
    """Make names durable: the new file's, and that the rollback journal of its first moments is gone.

    A journal that a power cut brings back would roll the file back to nothing, and SQLite itself syncs the folder only
    when it happens to create a WAL.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prepare(path: Path, partitions: int | None) -> tuple[sqlite3.Connection, int]:
    connection = connect(path)
    try:
        recorded = _look(path, connection, partitions)
        _sync_folder(path.parent)
    except BaseException:
        connection.close()
        raise
    return connection, recorded


def _look(path: Path, connection: sqlite3.Connection, partitions: int | None) -> int:
    """Refuse what is no log of ours, create the tables if there are none, return the partition count."""
    _check_version(path, connection)
    if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
        raise LogUnreachable(f"the log {path} cannot use WAL here: it needs a local file system")
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        _create_tables(connection, DEFAULT_PARTITIONS if partitions is None else partitions)
    connection.execute("COMMIT")
    (recorded,) = connection.execute("SELECT partitions FROM log").fetchone()
    if partitions not in (None, recorded):
        raise ValidationFailed(
            f"the log {path} has {recorded} partitions, not {partitions}; the count cannot change: use a new log"
        )
    return int(recorded)


def _check_version(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")  # the questions are about one moment: another process may just be making the tables
    try:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        table_count = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    if application == APPLICATION_ID and version > SCHEMA_VERSION:
        raise ValidationFailed(
            f"the log {path} is of version {version}, this HMS knows {SCHEMA_VERSION}: use the newer HMS that wrote it"
        )
    if application != APPLICATION_ID and table_count:
        raise ValidationFailed(f"{path} is a database of something else, not a log; name another path")


def _create_tables(connection: sqlite3.Connection, partitions: int) -> None:
    layout = Layout(partitions)
    for statement in _TABLES.strip().split(";\n"):
        connection.execute(statement)
    zeros = pack((0,) * len(layout.keys))
    row = (1, partitions, 0, 0, zeros, zeros, pack((0,) * partitions))
    connection.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    connection.executemany("INSERT INTO shards (shard) VALUES (?)", [(shard,) for shard in range(partitions)])
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
