"""A transaction with empty hands: written to a partition of every broker, and aborted; nobody ever sees it.

A broker asks the transaction's coordinator before it takes a record, over the brokers' own listener. Where that cannot be
reached, every transaction fails for ever, and clients retry without a word. Only trying shows it.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from aiokafka import AIOKafkaProducer

from ...errors import HmsError, LogUnreachable
from .address import KafkaAddress
from .failures import within

PROBE_S: Final = 5.0
"""One record of a transaction takes milliseconds."""
STOP_S: Final = 1.0
TRANSACTION_MS: Final = 10_000
_LOG_APPEND_TIME: Final = 1


class Probed(NamedTuple):
    """One broker's answer: how long it took, and how far its clock is ahead of this host's (None: not told)."""

    taken_ms: float
    ahead_ms: float | None
    failure: str


async def probe(address: KafkaAddress, places: Mapping[int, tuple[str, int]]) -> dict[int, Probed]:
    """Write one record to the place (topic on the cluster, partition) of each broker, and abort.

    Raises `LogUnreachable` when no transaction can be begun at all.
    """
    producer = AIOKafkaProducer(
        transactional_id=f"{address.prefix}-doctor",
        transaction_timeout_ms=TRANSACTION_MS,
        client_id="hms-doctor",
        retry_backoff_ms=5,
        **address.client_kwargs(),
    )
    try:
        await within(PROBE_S, producer.start(), f"open the transactional id {address.prefix}-doctor")
        await producer.begin_transaction()
        found = {broker: await _probed(producer, *place) for broker, place in places.items()}
        if not any(one.failure for one in found.values()):
            await within(PROBE_S, producer.abort_transaction(), "abort the doctor's transaction")
        return found
    finally:
        await _discard(producer)


async def _probed(producer: AIOKafkaProducer, topic: str, partition: int) -> Probed:
    begun_ms, begun = time.time() * 1_000, time.perf_counter()
    try:
        sent = await within(PROBE_S, producer.send(topic, b"", b"doctor", partition), f"write to {topic}/{partition}")
        written = await within(PROBE_S, sent, f"write to {topic}/{partition} in a transaction")
    except HmsError as error:
        return Probed((time.perf_counter() - begun) * 1_000, None, str(error))
    taken_ms = (time.perf_counter() - begun) * 1_000
    told = written.timestamp_type == _LOG_APPEND_TIME
    return Probed(taken_ms, written.timestamp - begun_ms - taken_ms / 2 if told else None, "")


async def _discard(producer: AIOKafkaProducer) -> None:
    """Stop a producer that may have a record that never goes: its own `stop` would wait for that."""
    with suppress(LogUnreachable):
        await within(STOP_S, producer.stop(), "stop the doctor's producer")
        return
    if producer._sender is not None:  # noqa: SLF001 - there is no other way to end it
        await producer._sender.close()  # noqa: SLF001
    await producer.client.close()
