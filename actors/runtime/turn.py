"""One decision of the runtime supervisor in the making."""

from typing import Any

from ...core.address import Address
from ...core.behaviour import Context
from ...schemas.record import Message
from .. import turn
from ..well_known import META_SUPERVISOR
from .fold import RuntimeEvent, evolve
from .state import RuntimeState


class Turn(turn.Turn[RuntimeState, RuntimeEvent]):
    """What it sends goes on one lane, so that a report never overtakes another."""

    def __init__(self, state: RuntimeState, context: Context) -> None:
        super().__init__(state, context, evolve)

    def tell(self, to: Address[Message[Any]], message: Message[Any]) -> None:
        """Send a message."""
        self.post(to, message, "high")

    def report(self, message: Message[Any]) -> None:
        """Send a message to the meta supervisor."""
        self.tell(META_SUPERVISOR, message)
