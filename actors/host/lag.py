"""How late this process itself is: a watcher that was not running has no right to a verdict."""

import asyncio
import time
from collections import deque

TICK_S = 0.05
KEPT = 200


class Lag:
    """Measures the delay of the event loop, between `start` and `close`."""

    def __init__(self) -> None:
        """Measure nothing yet."""
        self._late: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self._due = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin; needs a running loop."""
        self._due = time.monotonic() + TICK_S
        self._handle = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def close(self) -> None:
        """End."""
        if self._handle is not None:
            self._handle.cancel()

    def worst_ms_since(self, instant: float) -> float:
        """Return the worst delay that touched the time from `instant` (monotonic seconds) until now."""
        running = time.monotonic() - self._due if self._handle else 0.0
        past = (delay for ended, delay in self._late if ended >= instant)
        return max(0.0, running, *past) * 1000

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._due > TICK_S / 5:
            self._late.append((now, now - self._due))
        self.start()
