"""The four inbox lanes of a shard: read ahead, taken from by priority, never letting the low one starve."""

import asyncio
from collections import deque
from collections.abc import Iterator

import structlog

from ...schemas import UnknownSchema
from ..errors import OutsideError
from ..log.port import LANES, Log, Stored
from .inbound import Inbound, decode, unreadable
from .schema_store import SchemaStore

logger = structlog.get_logger("hms.lanes")
REST_S = 2.0
REST_S_MAX = 30.0
SHARE = (64, 16, 8, 4)
"""How many messages of each lane go into one round of a slice, critical first."""


class Lanes:
    """What a shard has read and not consumed yet, and how far it has consumed."""

    def __init__(
        self, log: Log, shard: int, positions: tuple[int, ...], schemas: SchemaStore, read_records: int
    ) -> None:
        self._log = log
        self._shard = shard
        self._schemas = schemas
        self._read_records = read_records
        self._read_to = list(positions)
        self._resting: dict[int, tuple[float, float]] = {}
        """Lanes that could not be read: until when (the loop's time) nobody tries, and how long that is (seconds)."""
        self._buffers: tuple[deque[Inbound], ...] = tuple(deque() for _ in LANES)

    async def fill(self) -> None:
        """Read and decode more of every lane whose buffer is low; does not wait for new messages.

        A lane that cannot be read now holds up no other; raises `LogUnreachable` when none can, `PositionTrimmed` for one.
        """
        failed: list[OutsideError] = []
        for lane, topic in enumerate(LANES):
            if len(self._buffers[lane]) * 2 >= self._read_records or self._rests(lane):
                continue
            try:
                await self._fill(lane, topic)
                self._resting.pop(lane, None)
            except OutsideError as error:
                if not error.retryable:
                    raise
                self._rest(lane)
                failed.append(error)
                logger.warning("lane_not_readable", shard=self._shard, lane=topic, error=str(error))
        if failed and len(self._resting) == len(LANES):
            raise failed[0]

    @property
    def any_rests(self) -> bool:
        """Whether a lane could not be read the last time somebody tried."""
        return bool(self._resting)

    def _rests(self, lane: int) -> bool:
        until, _ = self._resting.get(lane, (0.0, 0.0))
        return bool(until) and asyncio.get_running_loop().time() < until

    def _rest(self, lane: int) -> None:
        """Leave a lane alone for a while, each time for longer: an attempt may last as long as the log's deadline."""
        _, before_s = self._resting.get(lane, (0.0, REST_S / 2))
        rest_s = min(before_s * 2, REST_S_MAX)
        self._resting[lane] = asyncio.get_running_loop().time() + rest_s, rest_s

    async def _fill(self, lane: int, topic: str) -> None:
        read = await self._log.read(topic, self._shard, self._read_to[lane], records_max=self._read_records)
        decoded: list[Inbound] = []
        for stored in read.records:
            try:
                inbound = decode(self._schemas.contract, lane, stored)
            except UnknownSchema:
                inbound = await self._decode_after_refresh(lane, stored)
            decoded.append(inbound)
        self._buffers[lane].extend(decoded)  # all or none: a refresh that fails must not leave half a slice behind
        self._read_to[lane] = read.position

    async def _decode_after_refresh(self, lane: int, stored: Stored) -> Inbound:
        await self._schemas.refresh()
        try:
            return decode(self._schemas.contract, lane, stored)
        except UnknownSchema as error:
            return unreadable(lane, stored, error)

    def take(self) -> Iterator[Inbound]:
        """Yield what is buffered, each message consumed as it is yielded: by rounds, critical lanes first."""
        while any(self._buffers):
            for lane, share in enumerate(SHARE):
                buffer = self._buffers[lane]
                for _ in range(min(share, len(buffer))):
                    yield buffer.popleft()

    def has(self, lane: int) -> bool:
        """Tell whether something of the lane is buffered."""
        return bool(self._buffers[lane])

    @property
    def empty(self) -> bool:
        """Whether nothing is read and not consumed."""
        return not any(self._buffers)

    def positions(self) -> tuple[int, ...]:
        """Return each lane's next offset to consume."""
        return tuple(
            buffer[0].stored.offset if buffer else read_to
            for buffer, read_to in zip(self._buffers, self._read_to, strict=True)
        )

    def waiting_for(self) -> dict[tuple[str, int], int]:
        """Return where the next message of each lane that can be read will come, for `Log.wait`."""
        return {
            (topic, self._shard): self._read_to[lane] for lane, topic in enumerate(LANES) if lane not in self._resting
        }
