"""The embedded log: what the port asks, put together."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from ...clock import Clock, SystemClock
from ...errors import AppendUnknown
from ..port import Capabilities, Draft, NodeInfo, Slice, Watermarks
from . import trimming
from .doorbell import Doorbell
from .file import open_file
from .heads import Heads
from .layout import Layout
from .membership import SqliteMembership, read_nodes
from .reader import Reader
from .rows import Encoded, encode_drafts
from .times import DEFAULT_TIMES, Times
from .transaction import put_setting
from .worker import Worker
from .writer import SqliteWriter, open_shard


class SqliteLog:
    """A log in one SQLite file; several processes may have it open. Made by `open`."""

    capabilities = Capabilities(markers=False, open_transactions=False, durable=True, shared=True, headers=False)

    def __init__(self, path: Path, partitions: int, connection: sqlite3.Connection, clock: Clock, times: Times) -> None:
        self.url = f"sqlite:{path}"
        self.partitions = partitions
        self._path = path
        self._times = times
        self._clock = clock
        self._layout = Layout(partitions)
        self._connection = connection
        self._heads = Heads(self._layout, self._connection)
        self._bell = Doorbell(path, self._heads.look)
        self._heads.rung = self._bell.works
        self._reader = Reader(path, self._layout, self._heads, self._connection, times.deadline_ms)
        self._worker = Worker(path, clock, times.deadline_ms, self._heads.apply, self._bell.ring)
        self._memberships: list[SqliteMembership] = []

    @classmethod
    async def open(
        cls, path: Path, *, partitions: int | None = None, clock: Clock | None = None, times: Times = DEFAULT_TIMES
    ) -> "SqliteLog":
        """Open the log, creating it (with `partitions`, else 16) if it is not there. Errors: see `open_file`."""
        path, recorded, connection = await asyncio.to_thread(open_file, path, partitions, times.deadline_ms)
        return cls(path, recorded, connection, clock or SystemClock(), times)

    async def append(self, drafts: Sequence[Draft]) -> list[int]:
        """Write the drafts durably, as one transaction, unfenced; see the port."""
        encoded = self._encode(drafts)
        offsets: list[int] = await self._worker.run(lambda transaction: transaction.append(encoded), AppendUnknown)
        return offsets

    async def read(
        self, topic: str, partition: int, position: int, *, records_max: int = 500, headers: bool = True
    ) -> Slice:
        """Return committed records; what another process wrote in the last milliseconds may not be seen yet."""
        return await self._reader.read(topic, partition, position, records_max, headers=headers)

    async def watermarks(self, topic: str, partition: int) -> Watermarks:
        """Return the partition's bounds, asked now."""
        index = self._layout.place(topic, partition).head
        state = await self._reader.ask(self._heads.refresh)
        return Watermarks(state.starts[index], state.nexts[index], state.nexts[index])

    async def wait(self, positions: Mapping[tuple[str, int], int], timeout_ms: int) -> None:
        """Return when there is something to read at one of the positions, or after the timeout."""
        await self._heads.wait(positions, timeout_ms)

    async def open_writer(self, shard: int, owner: str) -> SqliteWriter:
        """Fence the shard's previous writer and return the new one."""
        epoch = await self._worker.run(partial(open_shard, shard=shard, owner=owner))
        return SqliteWriter(shard, epoch, self._worker, self._encode)

    async def join(self, node: str) -> SqliteMembership:
        """Become a member under a name; a handle has one membership, the newest."""
        for earlier in self._memberships:
            await earlier.leave()
        membership = SqliteMembership(node, self._times, self._worker, self._reader, self._heads)
        self._memberships = [membership]
        await membership.start()
        return membership

    async def nodes(self) -> list[NodeInfo]:
        """Return the members, dead ones of the last hour included."""
        return await read_nodes(self._reader, self._clock.monotonic_us())

    def mirror(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Do nothing: nobody else reads a position here."""

    async def clock_us(self) -> int:
        """Return the machine's time, which is the log's."""
        return self._clock.wall_us()

    async def trim(self, topic: str, partition: int, before: int) -> None:
        """Delete records below `before`."""
        await trimming.trim(self._worker, self._layout.place(topic, partition), before)

    async def compact(self, topic: str, partition: int, before: int) -> None:
        """Drop, below `before`, overwritten values and tombstones."""
        await trimming.compact(self._path, self._worker, self._layout.place(topic, partition), before)

    async def get_setting(self, name: str) -> str | None:
        """Read a fact that the log carries about itself."""
        rows = await self._reader.ask(lambda: self._reader.rows("SELECT value FROM settings WHERE name = ?", name))
        return rows[0][0] if rows else None

    async def put_setting(self, name: str, value: str, *, expected: str | None) -> bool:
        """Set it if it is still `expected`; return whether it was."""
        stored: bool = await self._worker.run(partial(put_setting, name=name, value=value, expected=expected))
        return stored

    async def close(self) -> None:
        """Leave, serve what is queued, close the file. Doing it again does nothing."""
        for membership in self._memberships:
            with contextlib.suppress(Exception):
                await membership.leave()
        self._memberships.clear()
        self._heads.close()
        await self._worker.close()
        self._bell.close()
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def _encode(self, drafts: Sequence[Draft]) -> list[Encoded]:
        return encode_drafts(self._layout, drafts)
