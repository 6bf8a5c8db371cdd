"""Whether this process may own shards: it has the code of every app in the log, and its clock is right.

A shard that a node without some app's code owned would lose that app's messages and events; one whose owner's clock is days
ahead would fire every timer, forget what it answered, and bind all later owners to that time.
"""

import json
from datetime import UTC, datetime

from ..clock import Clock
from ..errors import ClockOff, NodeOutdated, ValidationFailed
from ..log.port import Log
from .installed import Behaviours

APPS_SETTING = "apps"
CLOCK_OFF_US_MAX = 60_000_000
LOOK_EVERY_S = 10.0
STEP_US_MAX = 1_000_000
"""A wall clock that has moved so much more or less than the monotonic one was set."""


class Fitness:
    """Of one node; asked before it joins, with every opening of a shard, and now and then."""

    def __init__(self, log: Log, behaviours: Behaviours, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._mine = {f"{app.name}:{name}" for app in behaviours.apps for name in app.behaviours}
        self._clock_seen: tuple[int, int] | None = None
        """Monotonic time, and the wall's distance from it, when the clock was last found right."""

    async def check(self) -> None:
        """Raise `NodeOutdated` or `ClockOff` if this process must own no shard; `LogUnreachable` if nobody can tell."""
        await self.check_apps()
        await self.check_clock()

    async def record_apps(self) -> None:
        """Record this node's behaviours in the log. Raises `ValidationFailed` if one that is there is missing here."""
        while True:
            recorded = await self._log.get_setting(APPS_SETTING)
            known = _names(recorded)
            if missing := sorted(known - self._mine):
                raise ValidationFailed(self._lacks(missing))
            if known == self._mine or await self._log.put_setting(
                APPS_SETTING, json.dumps(sorted(self._mine)), expected=recorded
            ):
                return

    async def check_apps(self) -> None:
        """Raise `NodeOutdated` if another node has brought an app since this one started that this one lacks."""
        if missing := sorted(_names(await self._log.get_setting(APPS_SETTING)) - self._mine):
            raise NodeOutdated(self._lacks(missing))

    async def check_clock(self) -> None:
        """Raise `ClockOff` if the wall clock is over a minute off the log's. Costs nothing for 10 s, unless it was set."""
        if self._was_right():
            return
        begun_us = self._clock.monotonic_us()
        log_us = await self._log.clock_us()
        now_us = self._clock.monotonic_us()
        after_us = self._clock.wall_us()
        before_us = after_us - (now_us - begun_us)  # by the clock as it is now: it may have been set meanwhile
        off_us = max(0, before_us - log_us) or min(0, after_us - log_us)
        if abs(off_us) > CLOCK_OFF_US_MAX:
            raise ClockOff(
                f"expected this node's clock within {CLOCK_OFF_US_MAX // 1_000_000} s of the log's; it shows "
                f"{_text(after_us)}, the log's (that of the append times) {_text(log_us)}: {abs(off_us) / 1e6:.0f} s "
                f"{'ahead' if off_us > 0 else 'behind'}. Repair the one that is wrong (NTP); until then this node owns no shard"
            )
        self._clock_seen = (now_us, after_us - now_us)

    def _was_right(self) -> bool:
        if self._clock_seen is None:
            return False
        seen_us, distance_us = self._clock_seen
        now_us = self._clock.monotonic_us()
        stepped_us = abs(self._clock.wall_us() - now_us - distance_us)
        return now_us - seen_us < LOOK_EVERY_S * 1_000_000 and stepped_us <= STEP_US_MAX

    def _lacks(self, missing: list[str]) -> str:
        return (
            f"expected this node to run every app and behaviour that the log {self._log.url} holds; missing: "
            f"{', '.join(missing)} (app:behaviour). Start it with --app for each app, and keep behaviours that have actors"
        )


def _names(recorded: str | None) -> set[str]:
    return set(json.loads(recorded)) if recorded else set()


def _text(instant_us: int) -> str:
    return datetime.fromtimestamp(instant_us / 1_000_000, UTC).isoformat(timespec="milliseconds")
