"""A shard's commits as leaves of its tree: hashed and chained, nothing decoded but where a commit record begins."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from ...core.log.port import EVENTS, Log, Stored
from ...core.log.sqlite.scan import scan
from ...core.runtime.commit_record import GENESIS, SHARD_KEY, commit_sequence
from ...core.runtime.records import Commit
from ...schemas import FRAME_BYTES, MalformedRecord, RecordType, encode_long
from ..history import History
from .tree import HASH_BYTES, Frontier, event_hash, events_root, leaf

TRAIL_KEY: Final = b"audit/shard-"
EMBEDDED: Final = "sqlite:"
Row = tuple[int, bytes, bytes | None]
"""Offset, key and value."""
_PREVIOUS_WITHIN: Final = 400
"""The hash of the record before stands within the first bytes of a commit record."""


class Finding(NamedTuple):
    """What is wrong, and where: `shard`, and commits of it."""

    what: str
    shard: int
    where: str
    expected: str
    got: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"shard {self.shard}, {self.where}: {self.what}: expected {self.expected}, got {self.got}"


class Commits:
    """Takes the records of `hms.events` of one shard in their order; `leaves` are those since the beginning here."""

    def __init__(self, shard: int, frontier: Frontier | None = None, head: bytes = GENESIS) -> None:
        self.shard = shard
        self.base = frontier or Frontier()
        self.head = head
        self.size = self.base.size
        self.leaves = bytearray()
        self.records = 0
        self.last = b""
        """The value of the last commit record."""
        self.position = 0
        """Of the record behind the last commit."""
        self.findings: list[Finding] = []
        self.trail: list[Stored] = []
        """Events of audit trails: checkpoints of this shard and of others."""
        self._key = SHARD_KEY + b"%d" % shard
        self._frame = RecordType(Commit, str(Commit.explicit_type)).frame
        self._events: list[bytes] = []

    def take(self, records: Iterable[Stored]) -> None:
        """Take the records that come next."""
        self.take_rows([(stored[2], stored[4], stored[5]) for stored in records])

    def take_rows(self, rows: list[Row]) -> None:
        """Take the records that come next, as offset, key and value."""
        self.records += len(rows)
        hashed = self._events
        for offset, key, value in rows:
            if key.startswith(SHARD_KEY):
                self._commit(offset, key, value or b"", events_root(hashed))
                hashed = self._events = []
            else:
                hashed.append(event_hash(key, value or b""))
                if key.startswith(TRAIL_KEY):
                    self.trail.append(Stored(EVENTS, self.shard, offset, 0, key, value, ()))

    def end(self) -> None:
        """Say that nothing more comes."""
        if self._events:
            self._find("events without a commit record", "a commit record behind them", f"{len(self._events)} events")

    def hashes(self) -> Iterator[bytes]:
        """Yield the leaves."""
        for start in range(0, len(self.leaves), HASH_BYTES):
            yield bytes(self.leaves[start : start + HASH_BYTES])

    def roots(self, sizes: Iterable[int]) -> dict[int, bytes]:
        """Return the roots of the tree at some sizes, of those between the beginning here and the end."""
        wanted = set(sizes)
        tree = Frontier(self.base.size, self.base.peaks)
        found = {tree.size: tree.root()} if tree.size in wanted else {}
        for hashed in self.hashes():
            tree.append(hashed)
            if tree.size in wanted:
                found[tree.size] = tree.root()
        return found

    def _commit(self, offset: int, key: bytes, value: bytes, root: bytes) -> None:
        if key != self._key:
            self._find("the key of a commit record was changed", repr(self._key)[1:], repr(key)[1:])
        if not value.startswith(self._frame + encode_long(self.size)):
            self._out_of_order(offset, value)
        elif value.find(self.head, FRAME_BYTES, _PREVIOUS_WITHIN) < 0:
            self._find(
                "the chain of commits is broken: this record, or the one before, was changed or replaced",
                f"a record that names {self.head.hex()[:16]} as the one before",
                "another",
            )
        self.leaves += leaf(value, root)
        self.head = sha256(value).digest()
        self.last = value
        self.size += 1
        self.position = offset + 1

    def _out_of_order(self, offset: int, value: bytes) -> None:
        got: str | int
        try:
            got = commit_sequence(value) if value.startswith(self._frame) else "no commit record"
        except (EOFError, ValueError, MalformedRecord):
            got = "no commit record"
        what = "a commit record cannot be read: it was changed"
        if isinstance(got, int):
            what = (
                "a commit is there twice, or commits were put in another order"
                if got < self.size
                else "commits are missing"
            )
        self._find(
            what,
            f"commit {self.size} at {EVENTS}/{self.shard}@{offset}",
            f"{got}" if isinstance(got, str) else f"commit {got}",
        )
        if isinstance(got, int) and got > self.size:
            self.size = got  # what follows is judged by itself

    def _find(self, what: str, expected: str, got: str) -> None:
        if len(self.findings) < 10:  # noqa: PLR2004 - the first ones say it all
            self.findings.append(Finding(what, self.shard, f"commit {self.size}", expected, got))


async def read_commits(history: History, commits: Commits, start: int, end: int) -> None:
    """Read a shard's events between two positions."""
    if history.log is not None and history.log.url.startswith(EMBEDDED):
        start = await _scanned(history, history.log, commits, start, end)
    async for records in batches(history, commits.shard, start, end):
        commits.take(records)
    commits.end()


async def _scanned(history: History, log: Log, commits: Commits, start: int, end: int) -> int:
    """Read what an embedded log has of it, the archived part first; return where somebody else has to go on."""
    kept_from = min(end, max(start, (await log.watermarks(EVENTS, commits.shard)).start))
    async for records in batches(history, commits.shard, start, kept_from):
        commits.take(records)
    position = kept_from
    for rows in scan(Path(log.url.removeprefix(EMBEDDED)), log.partitions, EVENTS, commits.shard, kept_from, end):
        commits.take_rows(rows)
        position = rows[-1][0] + 1
        await asyncio.sleep(0)  # nothing here ever waits: let Ctrl-C, and others, in
    return position


def batches(history: History, shard: int, start: int, end: int) -> AsyncIterator[list[Stored]]:
    """Yield a shard's events, without their headers."""
    return history.records(EVENTS, shard, start, end)
