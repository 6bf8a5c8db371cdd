"""Where a message goes: `behaviour/key` for an actor, `agent/HOST` or `client/NAME` for a participant outside."""

from typing import Any, Final, Generic

from typing_extensions import TypeVar

from ..schemas import Message

M_contra = TypeVar("M_contra", bound=Message[Any], contravariant=True)
PARTICIPANT_KINDS: Final = ("agent", "client")
_PREFIXES: Final = tuple(f"{kind}/" for kind in PARTICIPANT_KINDS)


class Address(Generic[M_contra]):
    """The address of somebody who takes messages of type M."""

    __slots__ = ("id",)

    def __init__(self, id: str) -> None:  # noqa: A002 - the field's name in the public API
        self.id = id

    def __repr__(self) -> str:
        return f"Address({self.id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)


def participant(id: str) -> Address[Message[Any]]:  # noqa: A002
    """Return the address of a participant outside, such as `agent/HOST`; its messages go to the outbox."""
    if not is_participant(id):
        raise ValueError(f"expected agent/NAME or client/NAME, got {id!r}; an actor's address comes from its behaviour")
    return Address(id)


def is_participant(address: str) -> bool:
    """Tell whether an address is outside: commands and replies to it go to the outbox, not to an inbox."""
    return address.startswith(_PREFIXES)
