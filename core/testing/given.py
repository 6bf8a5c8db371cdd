"""Given these events, when this message comes, then those events: the whole test of a behaviour."""

from datetime import UTC, datetime
from typing import Any, Generic

from typing_extensions import TypeVar

from ...schemas import Event, Message, Record, State
from ..behaviour import Behaviour, Context
from ..decision import Decision, Send, Timer

S = TypeVar("S", bound=State)
M = TypeVar("M", bound=Message[Any])
E = TypeVar("E", bound=Event)

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Outcome(Generic[E]):
    """What the message led to; every `then` fails with what was expected and what came."""

    def __init__(self, decision: Decision[E], state: State) -> None:
        self.decision = decision
        self.state = state
        """The state after the decision's events."""

    def then(self, *events: E) -> "Outcome[E]":
        """Expect exactly these events, in this order."""
        self._accepted()
        if list(self.decision.events) != list(events):
            raise AssertionError(f"expected events\n  {_lines(events)}\ngot\n  {_lines(self.decision.events)}")
        return self

    def then_refused(self, code: str) -> "Outcome[E]":
        """Expect a refusal with this code."""
        refusal = self.decision.refusal
        if refusal is None:
            raise AssertionError(f"expected a refusal {code!r}, got {self.decision!r}")
        if refusal.code != code:
            raise AssertionError(f"expected a refusal {code!r}, got {refusal!r}")
        return self

    def then_sent(self, *sends: Send) -> "Outcome[E]":
        """Expect exactly these messages out, in this order."""
        self._accepted()
        if list(self.decision.sends) != list(sends):
            raise AssertionError(f"expected sends\n  {_lines(sends)}\ngot\n  {_lines(self.decision.sends)}")
        return self

    def then_timers(self, *timers: Timer) -> "Outcome[E]":
        """Expect exactly these timers set or cancelled, in this order."""
        self._accepted()
        if list(self.decision.timers) != list(timers):
            raise AssertionError(f"expected timers\n  {_lines(timers)}\ngot\n  {_lines(self.decision.timers)}")
        return self

    def then_replied(self, reply: Record | None) -> "Outcome[E]":
        """Expect this answer."""
        self._accepted()
        if self.decision.reply != reply:
            raise AssertionError(f"expected the reply {reply!r}, got {self.decision.reply!r}")
        return self

    def _accepted(self) -> None:
        if self.decision.refusal is not None:
            raise AssertionError(f"expected the message to be accepted, got {self.decision.refusal!r}")


class Given(Generic[M, E]):
    """A history; ask it what a message would do."""

    def __init__(
        self, behaviour: Behaviour[Any, M, E], events: tuple[E, ...], key: str, context: dict[str, Any]
    ) -> None:
        self._behaviour = behaviour
        self._events = events
        self._key = key
        self._context = context

    def at(self, now: datetime) -> "Given[M, E]":
        """Decide at this instant (default: 2026-01-01)."""
        return Given(self._behaviour, self._events, self._key, {**self._context, "now": now})

    def sent_by(self, sender: str) -> "Given[M, E]":
        """Let the message come from this address (default: `client/test`)."""
        return Given(self._behaviour, self._events, self._key, {**self._context, "sender": sender})

    def when(self, message: M) -> Outcome[E]:
        """Decide, twice, from two folds of the history; a difference means that `decide` or `evolve` is not pure."""
        first_state, second_state = self._fold(), self._fold()
        before = first_state.model_dump_json()
        context = Context(f"{self._behaviour.name}/{self._key}", **self._context)
        first = self._behaviour.decide(first_state, message, context)
        second = self._behaviour.decide(second_state, message, context)
        if first != second:
            raise AssertionError(f"expected decide to be pure, got {first!r} and then {second!r}")
        if first_state.model_dump_json() != before:
            raise AssertionError("expected decide to leave the state alone; it changed something inside it")
        state = first_state
        for event in first.events:
            state = self._behaviour.evolve(state, event)
        return Outcome(first, state)

    @property
    def state(self) -> State:
        """The state that the history folds to."""
        return self._fold()

    def _fold(self) -> State:
        state: State = self._behaviour.initial()
        for event in self._events:
            state = self._behaviour.evolve(state, event)
        return state


def given(behaviour: Behaviour[S, M, E], *events: E, key: str = "test") -> Given[M, E]:
    """Start from these events; the actor's address is `behaviour/key`."""
    context = {"sender": "client/test", "now": EPOCH, "message_id": "message-1", "correlation_id": "correlation-1"}
    return Given(behaviour, events, key, context)


def _lines(items: object) -> str:
    return "\n  ".join(repr(item) for item in items) or "(none)"  # type: ignore[attr-defined]
