"""`desk`: one actor at a desk, its clock and its timers in the test's hands."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from hms.core.behaviour import Behaviour, Context
from hms.core.decision import Decision, Send
from hms.core.testing.given import EPOCH

PURITY_CHECKED = 100
"""So many decisions are made twice and compared; a long test would take minutes otherwise."""


class Desk:
    """Plays messages to one actor: folds its events, collects what it sends, fires its timers when time is moved on."""

    def __init__(self, behaviour: Behaviour[Any, Any, Any]) -> None:
        self.behaviour = behaviour
        self.state: Any = behaviour.initial()
        self.now: datetime = EPOCH
        self.events: list[Any] = []
        self.sent: list[Send] = []
        self.timers: dict[str, tuple[datetime, Any]] = {}
        self._told = 0

    def tell(self, message: Any, sender: str = "client/test") -> Decision[Any]:
        """Let the actor decide; `last` are the decision's events, `out` its messages by receiver."""
        self._told += 1
        name = f"{self.behaviour.name}/main"
        context = Context(name, sender, self.now, f"message-{self._told}", "correlation")
        decision = self.behaviour.decide(self.state, message, context)
        if self._told <= PURITY_CHECKED:
            before = self.state.model_dump_json()
            assert decision == self.behaviour.decide(self.state, message, context)
            assert self.state.model_dump_json() == before
        self._take(decision)
        return decision

    def _take(self, decision: Decision[Any]) -> None:
        for event in decision.events:
            self.state = self.behaviour.evolve(self.state, event)
        self.events += decision.events
        self.sent += decision.sends
        for timer in decision.timers:
            self.timers.pop(timer.name, None)
            if timer.message is not None:
                self.timers[timer.name] = (self.now + timedelta(milliseconds=timer.after_ms), timer.message)

    def advance(self, ms: int) -> None:
        """Move time on; what falls due fires at its time, in order."""
        until = self.now + timedelta(milliseconds=ms)
        while due := min(((at, name) for name, (at, _) in self.timers.items() if at <= until), default=None):
            self.now = max(self.now, due[0])
            self.tell(self.timers.pop(due[1])[1], f"{self.behaviour.name}/main")
        self.now = until

    def sent_to(self, address: str, kind: type[Any]) -> list[Any]:
        """Return the messages of a kind that went to an address, oldest first."""
        return [send.message for send in self.sent if send.to == address and isinstance(send.message, kind)]


@pytest.fixture
def desk() -> Callable[[Behaviour[Any, Any, Any]], Desk]:
    """Give the constructor: `desk(behaviour)`."""
    return Desk
