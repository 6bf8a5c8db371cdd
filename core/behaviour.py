"""A behaviour is a value: how an actor decides, how its state follows from its events, what it does in the world."""

import inspect
import typing
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from types import UnionType
from typing import Any, Generic, NamedTuple, TypeAlias

from typing_extensions import TypeVar

from ..schemas import Event, Message, State, derived_id
from .address import PARTICIPANT_KINDS, Address
from .decision import Decision
from .errors import ValidationFailed
from .fingerprint import fingerprint

S = TypeVar("S", bound=State)
M = TypeVar("M", bound=Message[Any])
E = TypeVar("E", bound=Event)

Upcaster: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


class Context(NamedTuple):
    """What a `decide` may know beyond state and message; recorded, so a replay gets the same."""

    actor: str
    sender: str
    now: datetime
    message_id: str
    correlation_id: str

    def new_id(self, name: str) -> str:
        """Return an id that is the same at every replay; `name` tells several of one decision apart."""
        return derived_id(self.actor, self.sender, self.message_id, "context", name)


class Effect(NamedTuple):
    """What an effect's handler gets: a token that grows per actor (the far side refuses lower ones) and the attempt, from 1.

    `log_url` is the log that the actor lives on, for a handler that reads its history.
    """

    token: int
    attempt: int
    actor: str = ""
    id: str = ""
    log_url: str = ""


class Reaction(NamedTuple):
    """Run this after that event is committed."""

    event: type[Event]
    run: Callable[[Any, Effect], Awaitable[Message[Any] | None]]


def on(event: type[E], run: Callable[[E, Effect], Awaitable[Message[Any] | None]]) -> Reaction:
    """Do something in the world after `event` is committed, at least once; a message it returns comes back to the actor."""
    return Reaction(event, run)


class Behaviour(Generic[S, M, E]):
    """One kind of actor. Call it with a key for the address of one: `account("anna")` is `account/anna`.

    The unions of messages and events are read from the annotations of `decide` and `evolve`. Raises
    `ValidationFailed` at once when they cannot be.
    """

    def __init__(
        self,
        name: str,
        *,
        initial: Callable[[], S],
        decide: Callable[[S, M, Context], Decision[E]],
        evolve: Callable[[S, E], S],
        effects: Sequence[Reaction] = (),
        version: int = 1,
        upcasters: Sequence[Upcaster] = (),
    ) -> None:
        if not name.replace("_", "").replace("-", "").isalnum() or name in PARTICIPANT_KINDS:
            raise ValidationFailed(
                f"expected a behaviour name of letters, digits, - and _ that is not one of {PARTICIPANT_KINDS}, got {name!r}"
            )
        self.name = name
        self.initial = initial
        self.decide = decide
        self.evolve = evolve
        self.effects = tuple(effects)
        self.version = version
        self.upcasters = tuple(upcasters)
        self.messages: tuple[type[Message[Any]], ...] = _union(decide, 1, Message)
        self.events: tuple[type[Event], ...] = _union(evolve, 1, Event)
        self.state: type[State] | Any = _annotation(evolve, 0)
        self.fingerprint = fingerprint(name, version, evolve, self.state)

    def __call__(self, key: str) -> Address[M]:
        """Return the address of the actor with that key."""
        if not key or len(key.encode()) > 500:  # noqa: PLR2004 - the key is part of every record
            raise ValidationFailed(f"expected a key of 1 to 500 bytes, got {key!r}")
        return Address(f"{self.name}/{key}")

    def __repr__(self) -> str:
        return f"Behaviour({self.name!r}, version={self.version})"


def _annotation(function: Callable[..., Any], index: int) -> Any:
    parameters = list(inspect.signature(function).parameters)
    hints = typing.get_type_hints(function)
    if index >= len(parameters) or parameters[index] not in hints:
        raise ValidationFailed(
            f"expected parameter {index + 1} of {function.__qualname__} to be annotated with its records, found no annotation"
        )
    return hints[parameters[index]]


def _union(function: Callable[..., Any], index: int, base: type[Any]) -> tuple[type[Any], ...]:
    annotation = _annotation(function, index)
    members = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    for member in members:
        if not (isinstance(member, type) and issubclass(member, base)):
            raise ValidationFailed(
                f"expected {function.__qualname__} to take {base.__name__} classes (or a union of them), got {member!r}"
            )
    return members


def _is_union(annotation: Any) -> bool:
    return isinstance(annotation, UnionType) or typing.get_origin(annotation) is typing.Union
