"""What stands between a timer that is due and its firing: the lanes must have been read to where they ended then.

A message that was in the log when a timer became due so counts before the timer: nobody is judged silent whose sign of life
was waiting behind a dead node's open transaction.
"""

import structlog

from ..clock import Clock
from ..errors import OutsideError
from ..log.port import LANES, Log
from .lanes import Lanes

logger = structlog.get_logger("hms.shard")


class Barrier:
    """Of one shard; a lane that somebody's open transaction blocks for too long is reported and no longer waited for."""

    def __init__(self, log: Log, shard: int, lanes: Lanes, clock: Clock, blocked_lane_ms: int) -> None:
        self._log = log
        self._shard = shard
        self._lanes = lanes
        self._clock = clock
        self._blocked_lane_ms = blocked_lane_ms
        self._captured: tuple[int, tuple[int, ...], int] | None = None
        self._blocked: dict[int, int] = {}
        """Lanes that were given up as blocked, and their positions then."""

    @property
    def is_up(self) -> bool:
        """Whether timers are due and the lanes are not read far enough yet."""
        return self._captured is not None

    async def passed(self, now_us: int) -> int | None:
        """Return the instant up to which timers may fire, of those that are due `now_us`; None while they must wait."""
        if self._lanes.any_rests:
            # Signs of life may wait in a lane that cannot be read now; how long it takes until it can is nobody's silence.
            self._captured = None
            return None
        if self._captured is None:
            try:
                marks = [await self._log.watermarks(topic, self._shard) for topic in LANES]
            except OutsideError as error:  # nobody is judged while nobody can tell what is in the lanes
                logger.warning("lane_ends_not_known", shard=self._shard, error=str(error))
                return None
            self._captured = (now_us, tuple(mark.high for mark in marks), self._clock.monotonic_us())
        captured_us, highs, since_us = self._captured
        behind = self._behind(highs)
        blocked_ms = (self._clock.monotonic_us() - since_us) // 1_000
        if behind and (any(map(self._lanes.has, behind)) or blocked_ms < self._blocked_lane_ms):
            return None
        if behind:
            logger.error("lane_blocked", shard=self._shard, lanes=[LANES[lane] for lane in behind], for_ms=blocked_ms)
            positions = self._lanes.positions()
            self._blocked.update((lane, positions[lane]) for lane in behind)
        self._captured = None
        return captured_us

    def _behind(self, highs: tuple[int, ...]) -> list[int]:
        """Return the lanes that are waited for; one that was given up is waited for again once it moves."""
        positions = self._lanes.positions()
        self._blocked = {lane: position for lane, position in self._blocked.items() if position == positions[lane]}
        return [
            lane
            for lane, position in enumerate(positions)
            if position < highs[lane] and (lane not in self._blocked or self._lanes.has(lane))
        ]
