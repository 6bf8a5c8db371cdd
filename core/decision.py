"""What a `decide` returns: the facts to record, the messages to send, the timers to set; or a refusal."""

from collections.abc import Sequence
from typing import Any, Final, Generic, Literal, Never

from typing_extensions import TypeVar

from ..schemas import Event, Message, Record
from .address import Address

E = TypeVar("E", bound=Event)
E_co = TypeVar("E_co", bound=Event, covariant=True)
M = TypeVar("M", bound=Message[Any])

Priority = Literal["critical", "high", "normal", "low"]
PRIORITIES: Final = ("critical", "high", "normal", "low")


class Send:
    """A message to go out with the commit."""

    __slots__ = ("message", "priority", "reply", "to", "ttl_ms")

    def __init__(
        self, to: str, message: Message[Any], *, reply: bool, priority: Priority | None, ttl_ms: int | None
    ) -> None:
        self.to = to
        self.message = message
        self.reply = reply
        self.priority = priority
        self.ttl_ms = ttl_ms

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Send) and _fields(self) == _fields(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"send({self.to!r}, {self.message!r})"


class Timer:
    """A timer to set (`after_ms`, `message`) or, without a message, to cancel."""

    __slots__ = ("after_ms", "message", "name")

    def __init__(self, name: str, after_ms: int, message: Message[Any] | None) -> None:
        self.name = name
        self.after_ms = after_ms
        self.message = message

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timer) and _fields(self) == _fields(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"cancel({self.name!r})"
            if self.message is None
            else f"timer({self.name!r}, {self.after_ms}, {self.message!r})"
        )


def _fields(value: Any) -> list[Any]:
    return [getattr(value, name) for name in value.__slots__]


class Refusal:
    """Why a message was refused: a code for programs, a reason for people."""

    __slots__ = ("code", "reason")

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        self.reason = reason

    def __repr__(self) -> str:
        return f"refuse({self.code!r}, {self.reason!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Refusal) and (self.code, self.reason) == (other.code, other.reason)

    __hash__ = None  # type: ignore[assignment]


class Decision(Generic[E_co]):
    """Accepted (events, messages, timers, a reply) or refused (`refusal` is set and the rest is empty)."""

    __slots__ = ("events", "refusal", "reply", "sends", "timers")

    def __init__(
        self,
        events: tuple[E_co, ...],
        sends: Sequence[Send],
        timers: Sequence[Timer],
        reply: Record | None,
        refusal: Refusal | None = None,
    ) -> None:
        self.events = events
        self.sends = sends
        self.timers = timers
        self.reply = reply
        self.refusal = refusal

    def __repr__(self) -> str:
        if self.refusal is not None:
            return repr(self.refusal)
        return f"accept(*{self.events!r}, send={self.sends!r}, timers={self.timers!r}, reply={self.reply!r})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Decision)
            and all(getattr(self, name) == getattr(other, name) for name in ("events", "refusal", "reply"))
            and list(self.sends) == list(other.sends)
            and list(self.timers) == list(other.timers)
        )

    __hash__ = None  # type: ignore[assignment]


def accept(
    *events: E, send: Sequence[Send] = (), timers: Sequence[Timer] = (), reply: Record | None = None
) -> Decision[E]:
    """Accept the message: these events happened, these messages go out, these timers run, this is the answer."""
    return Decision(events, send, timers, reply)


def refuse(code: str, reason: str) -> Decision[Never]:
    """Refuse the message: nothing happened, and the one who asked hears the code and the reason."""
    return Decision((), (), (), None, Refusal(code, reason))


def send(
    to: Address[M],
    message: M,
    *,
    reply: bool = False,
    priority: Priority | None = None,
    ttl_ms: int | None = None,
) -> Send:
    """Send a message with the commit; `reply=True` wants the answer back as a message to this actor.

    Without a priority it travels on the lane of the message that caused it. `ttl_ms` runs from the append.
    """
    return Send(to.id, message, reply=reply, priority=priority, ttl_ms=ttl_ms)


def timer(name: str, after_ms: int, message: Message[Any]) -> Timer:
    """Set the actor's timer `name`: after so long it gets the message. Setting it again replaces it."""
    if after_ms < 0:
        raise ValueError(f"expected after_ms >= 0, got {after_ms} for timer {name!r}")
    return Timer(name, after_ms, message)


def cancel(name: str) -> Timer:
    """Cancel the actor's timer `name`; nothing happens if it is not set."""
    return Timer(name, 0, None)
