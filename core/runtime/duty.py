"""Duties: what a node does beside its shards while it owns them, such as archiving them or signing their history.

A duty reads the log by itself and is never in a commit's way. One that fails is reported and begun again, with backoff;
it never stops a shard.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

import structlog

logger = structlog.get_logger("hms.duty")
BACKOFF_FIRST_S: Final = 0.5
BACKOFF_MAX_S: Final = 60.0
PROGRESS_S: Final = 60.0
"""A duty that lasted so long before it failed is begun again as if for the first time."""


class Duty(Protocol):
    """Follows a shard for as long as this node owns it."""

    name: str

    async def follow(self, shard: int, epoch: int) -> None:
        """Do the work, until cancelled: the shard is open here under this epoch, and closed or lost when it is cancelled.

        What is under way in a thread then goes on, so everything that a duty leaves behind is fenced by the epoch.
        """
        ...


class Duties:
    """The duties of a node, and the tasks that do them."""

    def __init__(self, duties: Sequence[Duty] = ()) -> None:
        self._duties = tuple(duties)
        self.failures: dict[tuple[str, int], str] = {}
        """Of each duty and shard that failed within the last minute: why."""

    @asynccontextmanager
    async def beside(self, shard: int, epoch: int) -> AsyncIterator[None]:
        """Do all duties for a shard while the block runs."""
        tasks = [
            asyncio.create_task(self._insist(duty, shard, epoch), name=f"{duty.name} of shard {shard}")
            for duty in self._duties
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for duty in self._duties:
                self.failures.pop((duty.name, shard), None)

    async def _insist(self, duty: Duty, shard: int, epoch: int) -> None:
        loop = asyncio.get_running_loop()
        delay_s = BACKOFF_FIRST_S
        while True:
            begun_at = loop.time()
            forgiving = loop.call_later(PROGRESS_S, self.failures.pop, (duty.name, shard), None)
            try:
                await duty.follow(shard, epoch)
            except Exception as error:  # noqa: BLE001 - whatever it is: the shard goes on without it
                self._report(duty, shard, error)
            else:
                return
            finally:
                forgiving.cancel()
            if loop.time() - begun_at > PROGRESS_S:
                delay_s = BACKOFF_FIRST_S
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, BACKOFF_MAX_S)

    def _report(self, duty: Duty, shard: int, error: Exception) -> None:
        """Say it once for as long as it stays the same."""
        reason = f"{type(error).__name__}: {error}"
        if self.failures.get((duty.name, shard)) != reason:
            self.failures[duty.name, shard] = reason
            logger.warning("duty_failed", duty=duty.name, shard=shard, error=reason)
