"""What the log said during the demo, and the waiting for it."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from ...core.client import Recorded
from ...schemas import Event

E = TypeVar("E", bound=Event)


class Told(NamedTuple):
    """An event, who it happened to, and when it was decided (micros UTC)."""

    who: str
    at_us: int
    event: Any


class Chronicle:
    """Every event since the demo began, in the order in which it came."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self._more = asyncio.Event()

    def note(self, recorded: Recorded[Event]) -> None:
        """Add an event."""
        self.told.append(Told(recorded.envelope.source, recorded.envelope.at_us, recorded.data))
        self._more.set()

    def find(self, kind: type[E], fits: Callable[[E], bool], *, since: int = 0, who: str | None = None) -> Told | None:
        """Return the first event of a class that fits, from position `since` on, of actor `who`."""
        return next(
            (
                told
                for told in self.told[since:]
                if isinstance(told.event, kind) and who in {None, told.who} and fits(told.event)
            ),
            None,
        )

    def count(self, kind: type[Event], since: int = 0) -> int:
        """Return how many there are of a class."""
        return sum(isinstance(told.event, kind) for told in self.told[since:])

    async def until(self, true: Callable[[], bool], seconds: float) -> bool:
        """Wait until something holds; False if it does not within that time."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not true():
            self._more.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._more.wait()
            except TimeoutError:
                return bool(true())
        return True
