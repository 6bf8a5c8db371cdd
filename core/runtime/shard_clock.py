"""The time that a shard stamps on its decisions: never goes back, follows the wall slowly.

On opening it is max(last committed, wall clock). From then on it runs with the monotonic clock, slewed towards the wall by
at most 10 %, so that a wall clock that jumps (NTP, an operator, a bad virtual machine) fires no timer early and
keeps none waiting for an hour.
"""

from ..clock import Clock

SLEW = 0.1


class ShardClock:
    """Time in microseconds since the epoch, as one shard sees it."""

    def __init__(self, clock: Clock, last_committed_us: int) -> None:
        self._clock = clock
        self._now = max(last_committed_us, clock.wall_us())
        self._seen = clock.monotonic_us()

    def not_before(self, instant_us: int) -> None:
        """Go on from there if it is not so late yet."""
        self._now = max(self._now, instant_us)

    def now_us(self) -> int:
        """Advance to the present and return it."""
        monotonic = self._clock.monotonic_us()
        elapsed = max(0, monotonic - self._seen)
        self._seen = monotonic
        ahead = self._clock.wall_us() - (self._now + elapsed)
        most = int(elapsed * SLEW)
        self._now += elapsed + max(-most, min(most, ahead))
        return self._now
