"""The checkpoints that went with a shard's commits, found along with them, as far as the log still holds them."""

from collections.abc import AsyncIterator
from typing import Any

from ...core.log.port import CHECKPOINTS, Log, Stored
from ...core.runtime.history import records_between
from ...core.runtime.records import ShardCheckpoint
from ...schemas import Contract, MalformedRecord


class Upkeep:
    """Reads one partition of the checkpoints forward; each run of them ends with the shard's own, which says whose it is."""

    def __init__(self, log: Log | None, contract: Contract, shard: int) -> None:
        self._log = log
        self._contract = contract
        self._shard = shard
        self._runs: AsyncIterator[tuple[int, list[Stored]]] | None = None
        self._ahead: tuple[int, list[Stored]] | None = None

    async def of(self, sequence: int) -> list[Stored]:
        """Return what commit `sequence` wrote there; nothing if nothing, or if it was compacted away. Never goes back."""
        if self._log is None:
            return []
        self._runs = self._runs or self._read(self._log)
        while self._ahead is None or self._ahead[0] < sequence:
            self._ahead = await anext(self._runs, None)
            if self._ahead is None:
                self._ahead = (1 << 62, [])
        return self._ahead[1] if self._ahead[0] == sequence else []

    async def _read(self, log: Log) -> AsyncIterator[tuple[int, list[Stored]]]:
        run: list[Stored] = []
        marks = await log.watermarks(CHECKPOINTS, self._shard)
        own = f"shard/{self._shard}".encode()
        async for records in records_between(log, CHECKPOINTS, self._shard, marks.start, marks.stable):
            for stored in records:
                run.append(stored)
                if stored.key == own:
                    yield self._sequence(stored), run
                    run = []

    def _sequence(self, stored: Stored) -> int:
        try:
            checkpoint: Any = self._contract.decode_body(stored.value or b"")
        except MalformedRecord:
            return -1
        return checkpoint.sequence if isinstance(checkpoint, ShardCheckpoint) else -1
