"""Handles of several processes' worth on one log of the tests, behind a proxy or not; made once a test, read back whole."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from hms.core.log.kafka.address import KafkaAddress
from hms.core.log.kafka.creation import create, look
from hms.core.log.kafka.log import KafkaLog
from hms.core.log.kafka.oracle import Times
from hms.core.log.port import Draft
from hms.core.testing.log_conformance.harness import read_all

QUICK = Times(session_ms=700, heartbeat_ms=50)
"""For one whose session ends, and whom it does no harm that it ends once more: the test brokers take half a second and more."""
PATIENT = Times(session_ms=6_000, heartbeat_ms=50)
"""A session that no pause of a busy machine outlasts."""


async def make(bootstrap: str, partitions: int = 4) -> str:
    """Make a log of its own; return its prefix."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    address = KafkaAddress.parse(f"kafka://{bootstrap}/{prefix}")
    await create(address, await look(address, partitions=partitions))
    return prefix


@asynccontextmanager
async def opened(bootstrap: str, prefix: str, count: int = 1, **options: Any) -> AsyncIterator[list[KafkaLog]]:
    """Open handles on a log; `options` are those of `KafkaLog.open`."""
    async with AsyncExitStack() as stack:
        logs = [await KafkaLog.open(f"kafka://{bootstrap}/{prefix}", **options) for _ in range(count)]
        for log in logs:
            stack.push_async_callback(log.close)
        yield logs


async def values(log: KafkaLog, topic: str, partition: int) -> list[str]:
    """Return what a committed reader sees, to the high watermark of now."""
    return [(record.value or b"").decode() for record in await read_all(log, topic, partition)]


def draft(topic: str, partition: int, value: str) -> Draft:
    return Draft(topic, partition, b"bank/ann", value.encode())
