"""The ends of the partitions as this process knows them, and who waits for more.

Own commits bring the new state along. Other processes ring after theirs (`doorbell`), and anyway `PRAGMA data_version` is
looked at every twenty milliseconds, two microseconds a look; where there is no bell, every millisecond while anything was
written within the last tenth of a second.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Mapping
from typing import Final

from .file import State, read_state
from .layout import Layout

BUSY_POLL_S: Final = 0.001
IDLE_POLL_S: Final = 0.020
ACTIVE_S: Final = 0.1

Positions = Mapping[tuple[str, int], int]


class Heads:
    """The newest state known; only ever goes forward."""

    def __init__(self, layout: Layout, connection: sqlite3.Connection) -> None:
        self._layout = layout
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._waiters: dict[asyncio.Future[None], Positions] = {}
        self._data_version = -1
        self._changed_at = self._loop.time()
        self.state = read_state(connection)
        self.rung = False
        """Whether other processes can wake this one."""
        self.on_generation: Callable[[], None] = lambda: None
        self._timer = self._loop.call_later(IDLE_POLL_S, self._poll)

    def refresh(self) -> State:
        """Ask the file; return what it says. Raises `sqlite3.Error`."""
        self.apply(read_state(self._connection))
        return self.state

    def apply(self, state: State) -> None:
        """Take a newer state over and wake those it concerns."""
        old = self.state
        if state.version <= old.version:
            return
        self.state = state
        if state.generation != old.generation:
            self.on_generation()
        if state.nexts != old.nexts:
            self._changed_at = self._loop.time()
            self._wake([index for index, (a, b) in enumerate(zip(old.nexts, state.nexts, strict=True)) if a != b])

    async def wait(self, positions: Positions, timeout_ms: int) -> None:
        """Return when any partition has records at its position, or after the time."""
        places, nexts = self._layout.places, self.state.nexts
        if any(nexts[places[key].head] > position for key, position in positions.items()):
            return
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiters[future] = positions
        timer = self._loop.call_later(timeout_ms / 1000, _settle, future)
        try:
            await future
        finally:
            timer.cancel()
            del self._waiters[future]

    def close(self) -> None:
        """Stop polling; whoever waits is let go."""
        self._timer.cancel()
        for future in self._waiters:
            _settle(future)

    def _wake(self, indexes: list[int]) -> None:
        keys = [self._layout.keys[index] for index in indexes]
        ends = [self.state.nexts[index] for index in indexes]
        for future, positions in self._waiters.items():
            if any(end > positions.get(key, end) for key, end in zip(keys, ends, strict=True)):
                _settle(future)

    def look(self) -> None:
        """Take over what other processes have written."""
        with contextlib.suppress(sqlite3.Error):  # a lock, a full disk: the next look will do
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
            if version != self._data_version:
                self.refresh()
                self._data_version = version

    def _poll(self) -> None:
        self.look()
        active = not self.rung and self._loop.time() - self._changed_at < ACTIVE_S
        self._timer = self._loop.call_later(BUSY_POLL_S if active else IDLE_POLL_S, self._poll)


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
