"""Components as the log has them, folded by somebody who writes nothing."""

from typing import Any

from ....actors.component.behaviour import component as behaviour
from ....actors.component.state import ComponentState
from ....actors.component.status import status
from ....core.app import App
from ....core.runtime.view import View
from ....schemas.component import ComponentStatus
from ..exit_codes import Exit, Stop
from ..freshness import freshness_line
from ..opened import reading
from ..plain_value import plain
from ..show import say

KIND = "component/"
APP = App("hms", behaviour)
"""The one behaviour that is needed: others are neither imported nor folded."""


async def look(url: str, wanted: str | None = None) -> list[ComponentStatus]:
    """Return all components that are configured, or the wanted one; raises `Stop` if there is none of that id."""
    async with reading(url) as log:
        view = View(log, [APP])
        if wanted is None:
            seen = await view.actors(lambda address: address.startswith(KIND))
        else:
            one = await view.actor(KIND + wanted)
            seen = [] if one is None else [one]
        say(await freshness_line(log))
    found = [_status(actor.address, actor.state) for actor in seen if actor.state.spec is not None]
    if wanted is not None and not found:
        raise Stop(Exit.NOT_FOUND, f"no component {wanted!r} in {url}; `hms component list` shows the ones there are")
    return found


def _status(address: str, state: ComponentState) -> ComponentStatus:
    return status(state, address.removeprefix(KIND))


def item_of(component: ComponentStatus) -> dict[str, Any]:
    """Return a component as JSON has it."""
    item: dict[str, Any] = plain(component)
    return item
