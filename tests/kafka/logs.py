"""Logs on the brokers of the tests: made, opened, closed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hms.core.errors import LogUnreachable
from hms.core.log.kafka import KafkaAddress, KafkaLog
from hms.core.log.kafka.creation import create, look


async def make_log(url: str, partitions: int = 2) -> None:
    """Make a log at a URL where none is; a broker that was paused a moment ago may not be back in its own cluster yet."""
    address = KafkaAddress.parse(url)
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(LogUnreachable):
                return await create(address, await look(address, partitions))
            await asyncio.sleep(0.1)


@asynccontextmanager
async def opened(url: str, deadline_s: float = 10.0) -> AsyncIterator[KafkaLog]:
    """Open a log; it is closed at the end."""
    log = await KafkaLog.open(url, deadline_s=deadline_s)
    try:
        yield log
    finally:
        await log.close()
