"""What the processes of `test_sqlite_processes` and `test_sqlite_durability` do: `python sqlite_child.py WHAT FILE [ARGUMENT]`."""

import asyncio
import math
import os
import resource
import signal
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from hms.core.errors import HmsError, LogUnreachable
from hms.core.log import CHECKPOINTS, EVENTS, NORMAL, OUTBOX, Draft
from hms.core.log.sqlite import SqliteLog, file
from hms.core.log.sqlite.times import Times

TIMES = Times(deadline_ms=20_000, heartbeat_ms=50, lease_ms=500)


def say(text: object) -> None:
    print(text, flush=True)


async def commit(path: Path, argument: str, end: float = math.inf) -> None:
    """Commit numbers for ever, or to the end, each to three partitions, and say each once it is acknowledged."""
    shard = int(argument)
    log = await SqliteLog.open(path, times=TIMES)
    writer = await log.open_writer(shard, "child")
    number = len((await log.read(EVENTS, shard, 0, records_max=10**6)).records)
    while number < end:
        value = str(number).encode()
        topics = ((EVENTS, shard), (OUTBOX, 0), (CHECKPOINTS, shard))
        await writer.commit([Draft(*place, b"key", value + b" " * 3_000) for place in topics])
        say(number)
        number += 1


async def relaxed(path: Path, argument: str) -> None:
    """Commit without waiting for the disk: the bug that the durability test must catch.

    Then wait for the end: more commits would have the write-ahead log copied, and that does wait for the disk.
    """
    file._PRAGMAS = (*file._PRAGMAS, "synchronous=NORMAL")
    await commit(path, argument, 50)
    await asyncio.Event().wait()


async def append(path: Path, argument: str) -> None:
    """Append so many records to one partition, one by one."""
    log = await SqliteLog.open(path, times=TIMES)
    for number in range(int(argument)):
        await log.append([Draft(NORMAL, 0, str(os.getpid()).encode(), str(number).encode())])
    await log.close()


async def reopen(path: Path, argument: str) -> None:
    """Open and close the log so many times: each time the last connection of this process, often of all, is closed."""
    for _ in range(int(argument)):
        log = await SqliteLog.open(path, times=TIMES)
        await log.close()


async def hold(path: Path, _argument: str) -> None:
    """Stop inside a transaction; roll it back when woken up."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    say("locked")
    os.kill(os.getpid(), signal.SIGSTOP)
    connection.execute("ROLLBACK")
    connection.close()
    say("released")


async def pausable(path: Path, argument: str) -> None:
    """Join, open a shard, wait for a line, then commit and say what came of it."""
    log = await SqliteLog.open(path, times=TIMES)
    await log.join("child")
    writer = await log.open_writer(int(argument), "child")
    say("ready")
    sys.stdin.readline()
    try:
        say(await writer.commit([Draft(EVENTS, int(argument), b"key", b"from the child")]))
    except HmsError as error:
        say(type(error).__name__)
    await log.close()


async def limited(path: Path, _argument: str) -> None:
    """Meet a limit on the size of files: refuse while it holds, go on by itself when it is lifted."""
    log = await SqliteLog.open(path, times=TIMES)
    writer = await log.open_writer(0, "child")
    await writer.commit([Draft(EVENTS, 0, b"key", b"before")])
    size = path.with_name(path.name + "-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 8_192, resource.RLIM_INFINITY))
    large = Draft(EVENTS, 0, b"key", bytes(100_000))
    for write in (writer.commit, log.append, log.append):
        try:
            await write([large])
        except LogUnreachable as error:
            say(error.__cause__)
        else:
            say("written in spite of the limit")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    writer = await log.open_writer(0, "child")
    await writer.commit([Draft(EVENTS, 0, b"key", b"after")])
    say([len(record.value or b"") for record in (await log.read(EVENTS, 0, 0)).records])
    await log.close()


async def unknown(path: Path, argument: str) -> None:
    """Commit while syncs fail (as long as the file named by the argument exists), and again when they work."""
    log = await SqliteLog.open(path, times=TIMES)
    writer = await log.open_writer(0, "child")
    await writer.commit([Draft(EVENTS, 0, b"key", b"before")])
    Path(argument).touch()  # noqa: ASYNC240 nothing else runs here
    for write in (writer.commit, log.append):
        try:
            await write([Draft(EVENTS, 0, b"key", b"lost")])
        except HmsError as error:
            say(type(error).__name__)
    Path(argument).unlink()  # noqa: ASYNC240 nothing else runs here
    writer = await log.open_writer(0, "child")
    await writer.commit([Draft(EVENTS, 0, b"key", b"after")])
    say([record.value for record in (await log.read(EVENTS, 0, 0)).records])
    await log.close()


WHAT: dict[str, Callable[[Path, str], Awaitable[None]]] = {
    found.__name__: found for found in (commit, relaxed, append, reopen, hold, pausable, limited, unknown)
}

if __name__ == "__main__":
    asyncio.run(WHAT[sys.argv[1]](Path(sys.argv[2]), (*sys.argv, "")[3]))
