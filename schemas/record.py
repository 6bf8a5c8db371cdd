"""The four kinds of record: what is sent, what happened, what is known, and what they are made of.

A record holds its own fields only; ids, times and addresses are the envelope's. Every record is frozen and refuses
fields that it does not know. See `hms.schemas.avro` for the types that a field may have.
"""

from typing import Any, ClassVar, Generic, Self, cast

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypeVar

R = TypeVar("R", default=None, covariant=True)


class Record(BaseModel):
    """A frozen value with a schema; the base of messages, events, states and of the values inside them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    explicit_type: ClassVar[str | None] = None
    """The type's name on the wire; None means `<app>.<Class>`. Set it in the class body to rename a class safely."""
    declared_type: ClassVar[str | None] = None
    """The name that the class got from its `App`."""


class State(Record):
    """What an actor knows: the fold of its events. Fields need defaults only if `initial` is the class itself."""


class Event(Record):
    """Something that happened, in the past tense; never refused, kept for ever."""


class Message(Record, Generic[R]):
    """Something asked of an actor, in the imperative; `Message[Balance]` wants a `Balance`, plain `Message` nothing."""

    def _itself(self) -> Self:
        return self

    def _answer(self) -> R:  # pragma: no cover - exists for type checkers: see `Asks`
        raise AssertionError

    @classmethod
    def answer_type(cls) -> type[Record] | None:
        """Return the record type that this message asks for, or None."""
        for base in cls.__mro__:
            arguments = cast("dict[str, Any]", getattr(base, "__pydantic_generic_metadata__", {})).get("args", ())
            if arguments and isinstance(arguments[0], type) and issubclass(arguments[0], Record):
                return arguments[0]
        return None
