"""The way in: tell an actor something, ask it something, follow what happened."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, NamedTuple, Protocol

import structlog
from typing_extensions import TypeVar

from ..schemas import Contract, Envelope, Event, MalformedRecord, Message, Record, RecordType, new_id
from .address import Address
from .clock import Clock, SystemClock
from .decision import Priority
from .errors import AppendUnknown, AskTimedOut, LogUnreachable, Refused, ValidationFailed
from .log.open import open_log
from .log.port import EVENTS, Draft, Log, Stored
from .runtime.inbound import mistake_in
from .runtime.outbox import Outbox
from .runtime.records import RUNTIME_RECORDS, MessageRefused
from .runtime.schema_store import SchemaStore
from .runtime.shard_options import ShardOptions
from .runtime.wire import PROTOCOL_VERSION, message_draft
from .user_name import user_name

logger = structlog.get_logger("hms.client")
M = TypeVar("M", bound=Message[Any])
E = TypeVar("E", bound=Event)
M_out = TypeVar("M_out", covariant=True)
R_out = TypeVar("R_out", covariant=True)
E_out = TypeVar("E_out", bound=Event, covariant=True)
APPEND_RETRY_S = 0.05


class Asks(Protocol[M_out, R_out]):
    """A message M whose answer is R: checks recipient and answer of `ask` in one argument."""

    def _itself(self) -> M_out: ...
    def _answer(self) -> R_out: ...


class Recorded(NamedTuple, Generic[E_out]):
    """An event as the log holds it; `cursor` is an opaque vector of all partitions' next positions."""

    envelope: Envelope
    data: E_out
    cursor: str


class Client:
    """A connection to a log; made by `connect`."""

    def __init__(
        self,
        log: Log,
        name: str,
        clock: Clock,
        *,
        random: Callable[[int], bytes] = os.urandom,
        contract: Contract | None = None,
    ) -> None:
        self.log = log
        self.source = f"client/{name}"
        self.contract = contract or Contract()
        for record in RUNTIME_RECORDS:
            self.contract.register(record, str(record.explicit_type))
        self.schemas = SchemaStore(log, self.contract)
        self._clock = clock
        self._random = random
        self._outbox = Outbox(log, self.schemas, f"{self.source}/{self._new_id()}")
        self._published: set[int] = set()

    async def start(self) -> None:
        """Learn the log's schemas and begin to listen for answers."""
        await self.schemas.refresh()
        await self._outbox.start()

    async def close(self) -> None:
        """Stop listening; asks under way raise `AskTimedOut`."""
        await self._outbox.close()

    # --- in -----------------------------------------------------------------------------------------------------

    async def tell(
        self,
        to: Address[M],
        message: M,
        *,
        id: str | None = None,  # noqa: A002 - the envelope's name for it
        priority: Priority = "normal",
        ttl_ms: int | None = None,
        timeout_ms: int = 30_000,
    ) -> None:
        """Return when the message is durable in the actor's inbox; with the same `id` it counts once.

        Raises `LogUnreachable` (nothing was written), `AppendUnknown` (no answer in time: tell it again with the `id` that
        the error names, and it counts once), `ValidationFailed`.
        """
        id_ = id or self._new_id()
        draft = await self._draft(to.id, message, id_, None, priority, ttl_ms)
        try:
            async with asyncio.timeout(timeout_ms / 1_000):
                await self._append(draft)
        except TimeoutError:
            raise AppendUnknown(
                f"the log did not say in {timeout_ms} ms whether {type(message).__name__} {id_} to {to.id} is written; "
                f"tell it again with id={id_!r} and it counts once"
            ) from None

    async def ask(
        self,
        to: Address[M],
        message: Asks[M, R_out],
        *,
        id: str | None = None,  # noqa: A002 - the envelope's name for it
        timeout_ms: int = 30_000,
        priority: Priority = "normal",
    ) -> R_out:
        """Return the actor's answer.

        Raises `Refused` (the actor said no), `AskTimedOut` (outcome unknown: ask again with the same `id`),
        `LogUnreachable` (nothing was written).
        """
        record: Any = message
        answer_type = type(record).answer_type()
        if answer_type is not None:
            await self._type_of(answer_type)
        id_ = id or self._new_id()
        answer = self._outbox.expect(to.id, id_)
        try:
            async with asyncio.timeout(timeout_ms / 1_000):
                await self._append(await self._draft(to.id, record, id_, self._outbox.address, priority, None))
                answered: R_out = self._checked(await answer, answer_type)
                return answered
        except TimeoutError:
            raise AskTimedOut(
                f"no answer from {to.id} to {type(record).__name__} {id_} in {timeout_ms} ms: is a node running? "
                "It may still happen; ask again with the same id and it happens once"
            ) from None
        finally:
            self._outbox.forget(to.id, id_, answer)

    def _checked(self, answer: Any, answer_type: type[Record] | None) -> Any:
        if isinstance(answer, MessageRefused):
            raise Refused(answer.code, answer.reason)
        if answer_type is not None and not isinstance(answer, answer_type):
            raise ValidationFailed(f"expected an answer of {answer_type.__name__}, got {answer!r}")
        return answer

    def _new_id(self) -> str:
        return new_id(self._clock.wall_us(), self._random)

    async def _draft(
        self, to: str, record: Record, id_: str, reply_to: str | None, priority: Priority, ttl_ms: int | None
    ) -> Draft:
        record_type = await self._type_of(type(record))
        now_us = self._clock.wall_us()
        envelope = Envelope(
            id_, self.source, to, record_type.name, now_us, id_, None, reply_to, priority, ttl_ms, PROTOCOL_VERSION
        )
        if mistake := mistake_in(envelope):
            raise ValidationFailed(mistake)
        body = record_type.encode_body(record)
        return message_draft(
            record_type,
            body,
            envelope,
            self.log.partitions,
            ShardOptions.value_bytes_max,
            headers=self.log.capabilities.headers,
        )

    async def _append(self, draft: Draft) -> None:
        """Append; an answer that was lost is no reason to fail, because the same id counts once.

        After such a loss nobody may be told that nothing was written, whatever later tries meet.
        """
        unknown = False
        while True:
            try:
                await self.log.append([draft])
            except AppendUnknown:
                unknown = True
            except LogUnreachable:
                if not unknown:
                    raise
            else:
                return
            await asyncio.sleep(APPEND_RETRY_S)

    async def _type_of(self, cls: type[Record]) -> RecordType[Any]:
        """Return a class's record type; its schema is in the log before the first record that uses it."""
        try:
            record_type = self.contract.of(cls)
        except KeyError:
            name = cls.explicit_type or cls.__dict__.get("declared_type")
            if name is None:
                raise ValidationFailed(
                    f"{cls.__name__} belongs to no app: make App(NAME, behaviour, ...) with the behaviour that uses it first"
                ) from None
            record_type = self.contract.register(cls, name)
        if record_type.schema_id not in self._published:
            await self.schemas.publish()
            self._published.update(id_ for id_, _ in self.contract.schemas())
        return record_type

    # --- out ----------------------------------------------------------------------------------------------------

    async def subscribe(self, event: type[E], *, after: str | None = None) -> AsyncIterator[Recorded[E]]:
        """Follow the committed events of a class (subclasses included), from now on or after a cursor, for ever.

        Order holds within an actor. Raises `PositionTrimmed` when what comes after the cursor is gone.
        """
        await self._register_family(event)
        positions = await self._positions(after)
        while True:
            moved = False
            for partition in range(self.log.partitions):
                read = await self.log.read(EVENTS, partition, positions[partition])
                moved = moved or read.position != positions[partition]
                for stored in read.records:
                    positions[partition] = stored.offset + 1
                    recorded = await self._recorded(stored, event)
                    if recorded is not None:
                        yield Recorded(recorded[0], recorded[1], ".".join(map(str, positions)))
                positions[partition] = read.position
            if not moved:
                await self.log.wait({(EVENTS, p): position for p, position in enumerate(positions)}, 1_000)

    async def _register_family(self, event: type[Any]) -> None:
        for cls in (event, *event.__subclasses__()):
            if cls.explicit_type or cls.__dict__.get("declared_type"):
                await self._type_of(cls)

    async def _positions(self, after: str | None) -> list[int]:
        if after is None:
            return [(await self.log.watermarks(EVENTS, p)).stable for p in range(self.log.partitions)]
        positions = [int(part) for part in after.split(".")]
        if len(positions) != self.log.partitions:
            raise ValidationFailed(
                f"expected a cursor of {self.log.partitions} positions, got {after!r}; it is of another log"
            )
        return positions

    async def _recorded(self, stored: Stored, event: type[E]) -> tuple[Envelope, E] | None:
        value = stored.value or b""
        if not self.contract.knows(int.from_bytes(value[1:5], "big")):
            await self.schemas.refresh()
        try:
            decoded = self.contract.decode(value)
        except MalformedRecord:
            logger.warning("event_not_readable", topic=stored.topic, partition=stored.partition, offset=stored.offset)
            return None
        record: Any = decoded.record
        return (decoded.envelope, record) if isinstance(record, event) else None


@asynccontextmanager
async def connect(log: str | Log, *, name: str | None = None, clock: Clock | None = None) -> AsyncIterator[Client]:
    """Connect to a log by URL, or over one that is open; the source of what is sent is `client/NAME` (default USER@HOST)."""
    clock = clock or SystemClock()
    opened = await open_log(log, clock=clock) if isinstance(log, str) else log
    client = Client(opened, name or f"{user_name()}@{socket.gethostname()}", clock)
    try:
        await client.start()
        yield client
    finally:
        await client.close()
        if isinstance(log, str):
            await opened.close()
