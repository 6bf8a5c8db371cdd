"""One broker's long poll over all tails that it leads.

A poll in flight cannot be changed, and what is asked behind it on its connection waits. So a new place is polled for at
once on another connection, by a poll of all places; the older one ends by itself and is not repeated.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from .cluster import Cluster
from .failures import FAILURES
from .fetch import Answer, FetchRequest, FetchSession, Place, answers

if TYPE_CHECKING:
    from .tail import Tail

WAIT_MS: Final = 500
LINES: Final = 3
"""Connections for polls, to each broker."""
OUT_OF_RANGE: Final = 1
FAILURE_PAUSE_S: Final = 0.1
SWEEP_S: Final = 1.0


class Line:
    """One connection's poll; the broker keeps a session for it."""

    def __init__(self, number: int) -> None:
        self.lane = f"tail-{number}"
        self.session = FetchSession()


class Pump:
    """Polls while it has tails that are wanted; `moved` gets those that the broker no longer leads."""

    def __init__(
        self,
        cluster: Cluster,
        node: int,
        names: Mapping[str, str],
        moved: Callable[[Iterable["Tail"]], None],
        unwanted: Callable[["Tail"], None],
    ) -> None:
        self.tails: dict[Place, Tail] = {}
        self._cluster = cluster
        self._node = node
        self._names = names
        self._moved = moved
        self._unwanted = unwanted
        self._free = [Line(number) for number in range(LINES)]
        self._polls: set[asyncio.Task[None]] = set()
        self._newest: Line | None = None
        self._asked: Mapping[Place, int] = {}
        self._answered: dict[Place, int] = {}
        self._answered_at = 0.0
        self._is_looking = False
        self._sweep_at = 0.0

    def covers(self, place: Place, offset: int) -> bool:
        """Tell whether the poll in flight asks for that."""
        return self._newest is not None and self._asked.get(place) == offset

    def has_answered(self, place: Place, offset: int, since: float) -> bool:
        """Tell whether the broker, asked for that, has answered since that instant (monotonic, seconds)."""
        return self._answered_at >= since and self._answered.get(place) == offset

    def look(self) -> None:
        """Poll for what the poll in flight does not cover, with all that changes at this moment."""
        if not self._is_looking:
            self._is_looking = True
            asyncio.get_running_loop().call_soon(self._start)

    async def close(self) -> None:
        """Stop at once."""
        self.tails.clear()
        self._free.clear()
        for poll in self._polls:
            poll.cancel()
        await asyncio.gather(*self._polls, return_exceptions=True)

    def _start(self) -> None:
        self._is_looking = False
        if self._free and any(self._asked.get(place) != offset for place, offset in self._wanted().items()):
            poll = asyncio.ensure_future(self._poll(self._free.pop()))
            self._polls.add(poll)
            poll.add_done_callback(self._polls.discard)

    async def _poll(self, line: Line) -> None:
        self._newest = line
        while self._newest is line and (wanted := self._wanted()):
            self._asked = wanted
            try:
                await self._ask(line, wanted)
            except FAILURES:
                line.session.forget()
                await self._cluster.refresh()
                await asyncio.sleep(FAILURE_PAUSE_S)
                self._moved(list(self.tails.values()))
        self._free.append(line)
        if self._newest is line:
            self._newest, self._asked = None, {}
        self.look()

    async def _ask(self, line: Line, wanted: Mapping[Place, int]) -> None:
        request = FetchRequest(self._cluster.address, line.session.ask(wanted, WAIT_MS))
        response = await self._cluster.ask(self._node, request, line.lane)
        if not line.session.answered(response.error_code, response.session_id):
            return
        self._answered, self._answered_at = dict(wanted), time.monotonic()
        lost = [tail for answer in answers(response, self._names) if (tail := self._take(answer)) is not None]
        if lost:
            self._moved(lost)

    def _take(self, answer: Answer) -> "Tail | None":
        """Give the answer to its tail; return the tail if the broker does not lead its partition."""
        tail = self.tails.get(answer.place)
        if answer.error:
            self._answered.pop(answer.place, None)
        if tail is None:
            return None
        if answer.error == OUT_OF_RANGE:
            tail.fail(self._answered_at)
        elif answer.error:
            return tail
        elif answer.data:
            tail.deliver(self._answered[answer.place], answer.data, answer.aborted)
        return None

    def _wanted(self) -> dict[Place, int]:
        now = time.monotonic()
        if now >= self._sweep_at:
            self._sweep(now)
        return {place: tail.buffer.end for place, tail in self.tails.items() if tail.is_polled(now)}

    def _sweep(self, now: float) -> None:
        """Let go of the tails that nobody has waited for in a while."""
        self._sweep_at = now + SWEEP_S
        for tail in [tail for tail in self.tails.values() if not tail.is_wanted(now)]:
            del self.tails[tail.place]
            self._unwanted(tail)
