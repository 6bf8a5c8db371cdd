"""The ends of the places that somebody waits for: polled together, one long poll a broker, and kept until they are read.

A place is polled from its first `wait` until nobody has waited for it for a while. What arrives is kept undecoded; a reader
that is far behind reads directly, and its tail rests until it waits again.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Final

from .cluster import Cluster
from .committed import Buffer
from .failures import FAILURES
from .fetch import FETCH_BYTES, Place
from .pump import Pump

WANTED_S: Final = 10.0
"""So long after its last `wait` a place is polled on."""
FRESH_S: Final = 1.5
"""So long after a broker's last answer a place of which it said nothing is believed to have nothing."""
FAILED_S: Final = 1.0
HOMELESS_S: Final = 0.1


class Tail:
    """The end of one place; `pump` polls it, None while nobody knows its leader."""

    def __init__(self, place: Place, position: int) -> None:
        self.place = place
        self.pump: Pump | None = None
        self.waiters: set[asyncio.Future[None]] = set()
        self.wanted_until = 0.0
        self.failed_until = 0.0
        self.known = 0
        self.aim(position)

    def aim(self, position: int) -> None:
        """Go on from that position."""
        self.buffer = Buffer(self.place, position)
        self.resting = False
        self.failed_until = 0.0

    def is_wanted(self, now: float) -> bool:
        """Tell whether anybody may come back for it."""
        return bool(self.waiters) or now < self.wanted_until

    def is_polled(self, now: float) -> bool:
        """Tell whether its broker is to be asked for more."""
        wanted = self.waiters or now < self.wanted_until  # and not `is_wanted`: asked of every tail for every poll
        return bool(wanted) and not self.resting and self.buffer.size < FETCH_BYTES and now >= self.failed_until

    def deliver(self, offset: int, data: bytes, aborted: Iterable[tuple[int, int]]) -> None:
        """Take in what the broker had at that offset, unless it is not the next any more."""
        if offset == self.buffer.end:
            self.buffer.add(data, aborted)
            if self.buffer.end > offset:
                self.wake()

    def fail(self, now: float) -> None:
        """Let those who wait find out by reading why there is nothing at their position."""
        self.failed_until = now + FAILED_S
        self.wake()

    def wake(self) -> None:
        """End every wait."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)


class Tails:
    """All tails of a handle."""

    def __init__(self, cluster: Cluster, names: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._names = names
        self._tails: dict[Place, Tail] = {}
        self._pumps: dict[int, Pump] = {}
        self._homeless: set[Tail] = set()
        self._housing: asyncio.Task[None] | None = None

    def buffer(self, place: Place, position: int) -> Buffer | None:
        """Return what has arrived at exactly that position, None if nothing has."""
        tail = self._tails.get(place)
        if tail is None or tail.buffer.position != position or tail.buffer.end == position:
            return None
        return tail.buffer

    def knows_nothing_new(self, place: Place, position: int) -> bool:
        """Tell whether the broker has just said that there is nothing at the position (or behind somebody's transaction)."""
        tail = self._tails.get(place)
        return (
            tail is not None
            and tail.known <= position
            and tail.buffer.end == position
            and tail.pump is not None
            and tail.pump.has_answered(place, position, time.monotonic() - FRESH_S)
        )

    def written(self, place: Place, offset: int) -> None:
        """Remember that there is a record at the offset."""
        if (tail := self._tails.get(place)) is not None:
            tail.known = max(tail.known, offset + 1)

    def rest(self, place: Place) -> None:
        """Stop polling for a reader that is so far behind that it reads by itself, until it waits again."""
        if (tail := self._tails.get(place)) is not None:
            tail.resting = True

    async def wait(self, positions: Mapping[Place, int], timeout_s: float) -> None:
        """Return when there is something at one of the positions, or after the timeout."""
        tails = [self._aim(place, position) for place, position in positions.items()]
        if any(tail.buffer.end > position for tail, position in zip(tails, positions.values(), strict=True)):
            return
        waiter = asyncio.get_running_loop().create_future()
        for tail in tails:
            tail.waiters.add(waiter)
            self._look(tail)
        try:
            await asyncio.wait([waiter], timeout=timeout_s)
        finally:
            for tail in tails:
                tail.waiters.discard(waiter)

    async def close(self) -> None:
        """Stop polling; who waits is woken up."""
        for tail in self._tails.values():
            tail.wake()
        self._tails.clear()
        self._homeless.clear()
        await asyncio.gather(*[pump.close() for pump in self._pumps.values()])
        if self._housing is not None:
            self._housing.cancel()
            await asyncio.gather(self._housing, return_exceptions=True)

    def _aim(self, place: Place, position: int) -> Tail:
        tail = self._tails.get(place)
        if tail is None:
            tail = self._tails[place] = Tail(place, position)
        elif position > tail.buffer.end or (position == tail.buffer.end and tail.buffer.size):
            tail.aim(position)  # whoever waits has read what is kept elsewhere
        tail.resting = False
        tail.wanted_until = time.monotonic() + WANTED_S
        return tail

    def _look(self, tail: Tail) -> None:
        if tail.pump is None:
            self._house(tail)
        elif not tail.pump.covers(tail.place, tail.buffer.end):
            tail.pump.look()

    def _house(self, tail: Tail) -> None:
        """Give a tail to the pump of its leader, or look for the leader."""
        try:
            node = self._cluster.leader(*tail.place)
        except FAILURES:
            self._homeless.add(tail)
            if self._housing is None or self._housing.done():
                self._housing = asyncio.ensure_future(self._find_homes())
            return
        if node not in self._pumps:
            self._pumps[node] = Pump(self._cluster, node, self._names, self._moved, self._unwanted)
        tail.pump = self._pumps[node]
        tail.pump.tails[tail.place] = tail
        tail.pump.look()

    async def _find_homes(self) -> None:
        while self._homeless:
            await self._cluster.refresh()
            homeless, self._homeless = self._homeless, set()
            now = time.monotonic()
            for tail in homeless:
                if tail.is_wanted(now):
                    self._house(tail)
                else:
                    self._unwanted(tail)
            if self._homeless:
                await asyncio.sleep(HOMELESS_S)

    def _moved(self, tails: Iterable[Tail]) -> None:
        """Look for the leaders of these again; their broker leads them no longer, or does not answer."""
        for tail in tails:
            if tail.pump is not None:
                tail.pump.tails.pop(tail.place, None)
                tail.pump = None
            self._homeless.add(tail)
        if self._homeless and (self._housing is None or self._housing.done()):
            self._housing = asyncio.ensure_future(self._find_homes())

    def _unwanted(self, tail: Tail) -> None:
        if self._tails.get(tail.place) is tail:
            del self._tails[tail.place]
