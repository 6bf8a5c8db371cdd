"""One decision of the analysis supervisor in the making: its events are folded as they are recorded."""

from typing import Any

from ....core.address import Address
from ....core.behaviour import Context
from ....core.decision import Decision, Send, Timer, accept, cancel, send, timer
from ....schemas.record import Message, Record
from ...well_known import ANALYSIS_TOPIC, META_SUPERVISOR
from .fold import AnalysisEvent, evolve
from .state import AnalysisState


class Turn:
    """Collects events, messages and timers; `state` is always the fold of what was collected."""

    def __init__(self, state: AnalysisState, context: Context) -> None:
        self.state = state
        self.context = context
        self._events: list[AnalysisEvent] = []
        self._sends: list[Send] = []
        self._timers: dict[str, Timer] = {}

    def record(self, event: AnalysisEvent) -> None:
        """Decide that this happened."""
        self._events.append(event)
        self.state = evolve(self.state, event)

    def tell(self, to: Address[Message[Any]], message: Message[Any]) -> None:
        """Send a message; all go on one lane, so that a report never overtakes another."""
        self._sends.append(send(to, message, priority="high"))

    def report(self, message: Message[Any]) -> None:
        """Send a message to the meta supervisor."""
        self.tell(META_SUPERVISOR, message)

    def publish(self, message: Message[Any]) -> None:
        """Send a message to who subscribed to `topic/analysis`."""
        self._sends.append(send(ANALYSIS_TOPIC, message, priority="normal"))

    def set_timer(self, name: str, message: Message[Any] | None, after_ms: int = 0) -> None:
        """Set a durable timer, or cancel it: the last word of a decision counts."""
        self._timers[name] = cancel(name) if message is None else timer(name, after_ms, message)

    def decision(self, reply: Record | None = None) -> Decision[AnalysisEvent]:
        """Return the whole of it."""
        return accept(*self._events, send=tuple(self._sends), timers=tuple(self._timers.values()), reply=reply)
