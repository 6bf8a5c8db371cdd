"""The log: can it be written, is it owned, is it growing where it should not."""

import time
from collections.abc import AsyncIterator
from typing import Final

from ....core.log.port import DEAD_LETTERS, Log
from ..freshness import freshness
from ..living import agents_of, lease_lost
from ..log_address import log_file
from ..shard_item import shard_items
from .check import Check

SETTING: Final = "doctor"
"""Written to see whether the log can be: a setting fences nobody and wakes nobody."""
WAL_WARN_BYTES: Final = 64 << 20
AHEAD_WARN_US: Final = 5_000_000


async def log_checks(log: Log) -> list[Check]:
    """Look at the log; raises `LogUnreachable` when it does not answer."""
    return [
        await _writable(log),
        *[check async for check in _owners(log)],
        *[check async for check in _shards(log)],
        *_wal(log),
        await _dead_letters(log),
    ]


async def _writable(log: Log) -> Check:
    before = await log.get_setting(SETTING)
    begun = time.perf_counter()
    written = await log.put_setting(SETTING, str(time.time_ns()), expected=before)
    taken_ms = (time.perf_counter() - begun) * 1_000
    seen = f"{log.url} took a write in {taken_ms:.0f} ms" if written else f"{log.url}: another doctor wrote meanwhile"
    return Check("log", "ok", seen)


async def _owners(log: Log) -> AsyncIterator[Check]:
    now = await freshness(log)
    owned = frozenset[int]().union(*(node.shards for node in now.nodes))
    seen = f"{len(now.nodes)} alive, {len(owned)} of {log.partitions} shards owned"
    pids = [] if now.owned else agents_of(log.url)
    if pids:
        yield Check(
            "nodes", "fail", lease_lost(pids), "make room on its disk, or continue it (kill -CONT); else stop it"
        )
    elif not now.owned:
        yield Check(
            "nodes", "warn", "none runs: nothing is decided and no component healed", "start `hms up` or `hms node`"
        )
    elif len(owned) < log.partitions:
        yield Check(
            "nodes", "warn", seen, "wait: they are being taken over, which takes seconds; then look at the nodes"
        )
    else:
        yield Check("nodes", "ok", seen)
    ahead_us = now.last_commit_us - time.time_ns() // 1_000
    if ahead_us > AHEAD_WARN_US:
        yield Check("log time", "warn", f"the last commit lies {ahead_us / 1e6:.0f} s in the future", "set the clock")


async def _shards(log: Log) -> AsyncIterator[Check]:
    items = await shard_items(log, range(log.partitions), await log.nodes())
    blocked = [str(item["shard"]) for item in items if item["state"] == "blocked"]
    careful = [str(item["shard"]) for item in items if item["state"] == "careful"]
    lost = [str(item["shard"]) for item in items if item["state"] == "lost"]
    if lost:
        seen = f"handled more than a lane ever held: {', '.join(lost)}"
        todo = "a topic was deleted and made again, or restored alone: restore all topics together, from one snapshot"
        yield Check("shards", "fail", seen, todo)
    if blocked:
        todo = "find who hangs: `kafka-transactions.sh find-hanging`; abort it there, or end its process"
        yield Check("shards", "warn", f"a transaction that does not end hides messages of {', '.join(blocked)}", todo)
    if careful:
        todo = "wait: a message or timer kills the shard, and is buried at its second death (hms dead-letter list)"
        yield Check("shards", "warn", f"one message at a time: {', '.join(careful)}", todo)
    if not lost and not blocked and not careful:
        waiting = sum(sum(item["lag"].values()) for item in items)
        yield Check("shards", "ok", f"{waiting} messages wait")


def _wal(log: Log) -> list[Check]:
    path = log_file(log.url)
    wal = None if path is None else path.with_name(path.name + "-wal")
    if wal is None or not wal.exists():
        return []
    size = wal.stat().st_size
    seen = f"{size / 1e6:.1f} MB"
    big = size > WAL_WARN_BYTES
    todo = (
        "end the programs that keep a read of the log open (DuckDB, sqlite3): they hold the checkpoint" if big else ""
    )
    return [Check("write-ahead log", "warn" if big else "ok", seen, todo)]


async def _dead_letters(log: Log) -> Check:
    marks = [await log.watermarks(DEAD_LETTERS, partition) for partition in range(log.partitions)]
    count = sum(mark.stable - mark.start for mark in marks)
    seen = f"{count} messages that could not be handled" if count else "none"
    return Check("dead letters", "warn" if count else "ok", seen, "see `hms dead-letter list`" if count else "")
