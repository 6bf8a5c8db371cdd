"""Brings the agent's messages into the log: in order, once, and later when the log is away."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import structlog

from ...core.decision import Priority
from ...core.errors import OutsideError
from ...core.log.port import Draft, Log
from ...core.runtime.schema_store import SchemaStore
from ...core.runtime.shard_options import ShardOptions
from ...core.runtime.wire import PROTOCOL_VERSION, message_draft
from ...schemas import Envelope, Message
from ..host.facts import Fact, terminal
from .spool import Spool

logger = structlog.get_logger("hms.agent")
PATIENCE_S: Final = 2.0
"""The log is away when it has not taken a message for so long."""
RETRY_FIRST_S: Final = 0.1
RETRY_MAX_S: Final = 1.0
BATCH: Final = 200


class Parcel(NamedTuple):
    """A message on its way; `fact` is what it tells, if it must not be lost."""

    id: str
    to: str
    message: Message[Any]
    at_us: int
    priority: Priority = "high"
    correlation_id: str = ""
    causation_id: str | None = None
    fact: Fact | None = None


class Courier:
    """Takes parcels at once, delivers them one batch after the other, from `start` to `close`.

    `on_away` and `on_back` are told when the log stops and starts taking them, `on_delivered` each fact that is in it.
    """

    def __init__(
        self,
        source: str,
        spool: Spool,
        *,
        on_away: Callable[[], None],
        on_back: Callable[[], None],
        on_delivered: Callable[[Fact], None],
    ) -> None:
        self.away = False
        self._source = source
        self._spool = spool
        self._on_away, self._on_back, self._on_delivered = on_away, on_back, on_delivered
        self._pending: dict[str, Parcel] = {}
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._delivering: asyncio.Task[None] | None = None
        self._closed = False

    def put(self, parcel: Parcel) -> None:
        """Take a parcel. One with the id of another that waits takes its place, unless that is an earlier agent's."""
        waiting = self._pending.get(parcel.id)
        if waiting is not None and _session(waiting) < _session(parcel):
            return
        self._pending[parcel.id] = parcel
        if (self.away or self._closed) and parcel.fact is not None:
            self._spool.keep(parcel.fact)
        self._idle.clear()
        self._work.set()

    def start(self, log: Log, schemas: SchemaStore) -> None:
        """Begin to deliver."""
        self._delivering = asyncio.create_task(self._deliver_for_ever(log, schemas), name="courier")

    async def wait_idle(self, seconds: float) -> bool:
        """Wait until everything is delivered; False if that takes longer."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """End; what is not delivered is kept on disk."""
        if self._delivering is not None:
            self._delivering.cancel()
            await asyncio.gather(self._delivering, return_exceptions=True)
        if not self.away and not self._closed:
            self._spool.keep(*self._facts())
        self._closed = True

    async def _deliver_for_ever(self, log: Log, schemas: SchemaStore) -> None:
        retry_s = RETRY_FIRST_S
        while True:
            await self._work.wait()
            batch = list(self._pending.values())[:BATCH]
            if await self._append(log, [self._draft(parcel, log, schemas) for parcel in batch], _tells_an_end(batch)):
                self._delivered(batch)
                retry_s = RETRY_FIRST_S
            else:
                self._drop_telemetry()
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, RETRY_MAX_S)

    async def _append(self, log: Log, drafts: list[Draft], tells_an_end: bool) -> bool:  # noqa: FBT001
        """Append; False when it failed.

        While an end is on its way nobody may decide anew about it, however long it takes: it may arrive after all.
        """
        sending = asyncio.ensure_future(log.append(drafts))
        try:
            done, _ = await asyncio.wait({sending}, timeout=PATIENCE_S)
            if not done and not tells_an_end:
                self._note_away(f"no answer within {PATIENCE_S:g} s")
            await sending
        except OutsideError as error:
            self._note_away(str(error))
            return False
        except asyncio.CancelledError:
            sending.cancel()
            raise
        return True

    def _delivered(self, batch: list[Parcel]) -> None:
        for parcel in batch:
            # Replaced meanwhile: the newer one under this id still has to go.
            if self._pending.get(parcel.id) is parcel:
                del self._pending[parcel.id]
                if parcel.fact is not None:
                    self._on_delivered(parcel.fact)
        if not self._pending:
            self._work.clear()
            self._spool.clear()
            self._idle.set()
        if self.away:
            self.away = False
            logger.warning("log_back", source=self._source)
            self._on_back()

    def _note_away(self, error: str) -> None:
        if not self.away:
            self.away = True
            logger.warning("log_away", source=self._source, error=error, undelivered=len(self._pending))
            self._spool.keep(*self._facts())
            self._on_away()

    def _drop_telemetry(self) -> None:
        """Keep facts only: inventories and heartbeats of the past are worth nothing."""
        self._pending = {id_: parcel for id_, parcel in self._pending.items() if parcel.fact is not None}
        if not self._pending:
            self._work.clear()
            self._idle.set()

    def _facts(self) -> list[Fact]:
        return [parcel.fact for parcel in self._pending.values() if parcel.fact is not None]

    def _draft(self, parcel: Parcel, log: Log, schemas: SchemaStore) -> Draft:
        record_type = schemas.contract.of(type(parcel.message))
        correlation_id = parcel.correlation_id or parcel.id
        envelope = Envelope(
            parcel.id,
            self._source,
            parcel.to,
            record_type.name,
            parcel.at_us,
            correlation_id,
            parcel.causation_id,
            None,
            parcel.priority,
            None,
            PROTOCOL_VERSION,
        )
        body = record_type.encode_body(parcel.message)
        return message_draft(
            record_type,
            body,
            envelope,
            log.partitions,
            ShardOptions.value_bytes_max,
            headers=log.capabilities.headers,
        )


def _tells_an_end(batch: list[Parcel]) -> bool:
    return any(parcel.fact is not None and terminal(parcel.fact) for parcel in batch)


def _session(parcel: Parcel) -> int:
    return parcel.fact.session if parcel.fact is not None else 0
