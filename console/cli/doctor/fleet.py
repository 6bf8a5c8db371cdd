"""The fleet: who was given up, who is not well, which actor is quarantined."""

from collections.abc import Iterator
from typing import Final

from ....actors.app import hms_app
from ....actors.component.status import status
from ....core.log.port import Log
from ....core.runtime.view import Seen, View
from ....schemas.component import ComponentStatus
from .check import Check

KIND: Final = "component/"


async def fleet_checks(log: Log) -> list[Check]:
    """Fold every actor and look at it; raises `HistoryBroken` when that cannot be."""
    seen = await View(log, [hms_app]).actors(lambda _: True)
    found = [status(one.state, one.address.removeprefix(KIND)) for one in seen if one.address.startswith(KIND)]
    return [*_quarantined(seen), *_components([one for one in found if one.phase != "unconfigured"])]


def _quarantined(seen: list[Seen]) -> Iterator[Check]:
    quarantined = [one for one in seen if one.quarantine]
    for one in quarantined:
        yield Check(one.address, "ill", one.quarantine, "upgrade HMS (its code cannot fold its own history), then retry "
                    "its dead letters")  # fmt: skip
    if not quarantined:
        yield Check("actors", "ok", f"{len(seen)}, none quarantined")


def _components(found: list[ComponentStatus]) -> Iterator[Check]:
    for one in found:
        if one.phase == "given_up":
            yield Check(
                f"component {one.id}",
                "ill",
                f"given up: {one.given_up}",
                f"mend it, then `hms component reset {one.id}`",
            )
        elif one.health in {"unhealthy", "critical"}:
            yield Check(
                f"component {one.id}", "warn", one.message or one.health, f"see `hms component describe {one.id}`"
            )
        elif one.paused:
            yield Check(f"component {one.id}", "warn", "paused: it is not healed", f"`hms component resume {one.id}`")
    up = sum(one.health == "healthy" for one in found)
    yield Check(
        "components", "ok", f"{up} of {len(found)} healthy, {sum(one.desired == 'down' for one in found)} wished down"
    )
