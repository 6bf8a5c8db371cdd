"""What the suite needs from a backend, and what its tests share."""

import asyncio
import unittest
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from ...errors import HmsError
from ...log.port import Draft, Headers, Log, Stored

Connect = Callable[[str], Awaitable[Log]]
Scenario = Callable[[Connect], Awaitable[None]]

PATIENCE_S = 20.0
"""How long anything may take that has to happen: generous, because a test machine may be busy."""


class LogHarness(ABC):
    """What the suite needs from a backend, and what the tests share."""

    @abstractmethod
    async def connect(self, place: Path, node: str) -> Log:
        """Open a handle on the log at `place`, creating it the first time.

        One test waits for the end of a lease, so it should be short; but if a pause of a busy machine outlasts it, others fail.
        """

    async def silence(self, log: Log) -> None:
        """Stop the handle's heartbeats without a word, as when its process is killed or stopped."""
        del log
        raise unittest.SkipTest("this backend's harness cannot silence a node")

    def play(self, place: Path, scenario: Scenario) -> None:
        """Run a scenario with handles that are closed afterwards."""
        asyncio.run(self._play(place, scenario))

    async def _play(self, place: Path, scenario: Scenario) -> None:
        handles: list[Log] = []

        async def connect(node: str) -> Log:
            handles.append(await self.connect(place, node))
            return handles[-1]

        try:
            async with asyncio.timeout(4 * PATIENCE_S):
                await scenario(connect)
        finally:
            for handle in handles:
                await handle.close()


def draft(topic: str, partition: int, value: str = "v", key: str = "bank/ann", headers: Headers = ()) -> Draft:
    """Return a record to write."""
    return Draft(topic, partition, key.encode(), value.encode(), headers)


def values(records: Sequence[Stored]) -> list[str]:
    """Return the records' values as text."""
    return [(record.value or b"").decode() for record in records]


async def read_all(log: Log, topic: str, partition: int, position: int = 0, *, records_max: int = 500) -> list[Stored]:
    """Read from `position` to the high watermark asked now, waiting for what is still hidden."""
    end = (await log.watermarks(topic, partition)).high
    records: list[Stored] = []
    async with asyncio.timeout(PATIENCE_S):
        while position < end:
            found = await log.read(topic, partition, position, records_max=records_max)
            records += found.records
            if found.position == position:
                await log.wait({(topic, partition): position}, 100)
            position = found.position
    return records


async def eventually(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until the condition holds."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await condition():  # noqa: ASYNC110 the condition is asked of a log
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"did not come within {PATIENCE_S:g} s: {what}") from None


async def raised(call: Awaitable[object], *expected: type[BaseException]) -> BaseException:
    """Return the expected error that the call raises."""
    try:
        result = await call
    except expected as error:
        return error
    raise AssertionError(f"expected {' or '.join(kind.__name__ for kind in expected)}, got {result!r}")


async def outcome(call: Awaitable[list[int]]) -> list[int] | HmsError:
    """Return the offsets, or the error."""
    try:
        return await call
    except HmsError as error:
        return error
