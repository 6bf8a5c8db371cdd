"""One decision of a supervisor in the making: events are folded as they are recorded; what follows sees what was decided."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ..core.address import Address
from ..core.behaviour import Context
from ..core.decision import Decision, Priority, Send, Timer, accept, cancel, send, timer
from ..schemas.record import Event, Message, Record

S = TypeVar("S")
E = TypeVar("E", bound=Event)


class Turn(Generic[S, E]):
    """Collects events, messages and timers; `state` is always the fold of what was collected."""

    def __init__(self, state: S, context: Context, evolve: Callable[[S, E], S]) -> None:
        self.state = state
        self.context = context
        self._evolve = evolve
        self._events: list[E] = []
        self._sends: list[Send] = []
        self._timers: dict[str, Timer] = {}

    def record(self, event: E) -> None:
        """Decide that this happened."""
        self._events.append(event)
        self.state = self._evolve(self.state, event)

    def post(self, to: Address[Any], message: Message[Any], priority: Priority) -> None:
        """Send a message on a lane."""
        self._sends.append(send(to, message, priority=priority))

    def set_timer(self, name: str, message: Message[Any] | None, after_ms: int = 0) -> None:
        """Set a durable timer, or cancel it: the last word of a decision counts."""
        self._timers[name] = cancel(name) if message is None else timer(name, max(0, after_ms), message)

    def decision(self, reply: Record | None = None) -> Decision[E]:
        """Return the whole of it."""
        return accept(*self._events, send=tuple(self._sends), timers=tuple(self._timers.values()), reply=reply)
