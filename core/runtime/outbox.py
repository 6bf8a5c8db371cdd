"""What comes out of the log for one participant: the answers to a client, the commands to an agent."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import structlog

from ...schemas import Decoded, partition_of
from ..errors import AskTimedOut, HmsError, OutsideError
from ..log.port import OUTBOX, Log, Stored
from .schema_store import SchemaStore

logger = structlog.get_logger("hms.outbox")
RETRY_S = 0.2


async def follow(log: Log, schemas: SchemaStore, address: str, position: int) -> AsyncIterator[tuple[Decoded, int]]:
    """Yield what is sent to a participant from a position of its outbox partition on, with the next position, for ever.

    What cannot be read is logged and passed. A log that is away is waited for.
    """
    partition = partition_of(address, log.partitions)
    key = address.encode()
    while True:
        try:
            read = await log.read(OUTBOX, partition, position)
            if read.position == position:
                await log.wait({(OUTBOX, partition): position}, 1_000)
        except HmsError as error:
            # Also a refusal that passes, as when tokens are renewed: who waits must not wait in vain.
            position = getattr(error, "goes_on_at", position)
            logger.warning("outbox_not_readable", participant=address, error=str(error))
            await asyncio.sleep(RETRY_S)
            continue
        for stored in read.records:
            if stored.key == key:
                decoded = await _decoded(schemas, stored)
                if decoded is not None:
                    yield decoded, stored.offset + 1
        position = read.position


async def _decoded(schemas: SchemaStore, stored: Stored) -> Decoded | None:
    value = stored.value or b""
    while not schemas.contract.knows(int.from_bytes(value[1:5], "big")):
        try:
            await schemas.refresh()
        except OutsideError as error:
            logger.warning("schemas_not_readable", error=str(error))
            await asyncio.sleep(RETRY_S)
        else:
            break
    try:
        return schemas.contract.decode(value)
    except Exception as error:  # noqa: BLE001 - malformed, or a model's own validators raise: it concerns one record
        logger.warning("outbox_record_malformed", offset=stored.offset, error=str(error))
        return None


class Outbox:
    """The answers that a connection waits for, by the id of what they answer."""

    def __init__(self, log: Log, schemas: SchemaStore, address: str) -> None:
        self.address = address
        self._log = log
        self._schemas = schemas
        self._expected: dict[tuple[str, str], list[asyncio.Future[Any]]] = {}
        self._listener: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen from the outbox's present end on."""
        partition = partition_of(self.address, self._log.partitions)
        end = (await self._log.watermarks(OUTBOX, partition)).stable
        self._listener = asyncio.create_task(self._listen(end), name=f"outbox of {self.address}")

    async def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        for answer in [answer for answers in self._expected.values() for answer in answers]:
            if not answer.done():
                answer.set_exception(AskTimedOut("the connection was closed before the answer came"))

    def expect(self, actor: str, message_id: str) -> asyncio.Future[Any]:
        """Return a future for the actor's answer to a message; several may ask with one id."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._expected.setdefault((actor, message_id), []).append(answer)
        return answer

    def forget(self, actor: str, message_id: str, answer: asyncio.Future[Any]) -> None:
        """Stop waiting."""
        answers = self._expected[actor, message_id]
        answers.remove(answer)
        if not answers:
            del self._expected[actor, message_id]

    async def _listen(self, position: int) -> None:
        async for (envelope, record), _ in follow(self._log, self._schemas, self.address, position):
            for answer in self._expected.get((envelope.source, envelope.causation_id or ""), ()):
                if not answer.done():
                    answer.set_result(record)
