"""What an actor is reacting to, and so what its events and messages say about where they come from."""

from typing import Final, NamedTuple

from ...schemas import Envelope
from ..address import is_participant

EFFECT_SOURCE: Final = "effect/"
"""Sources of effect results: `effect/` and the actor's address."""


class Cause(NamedTuple):
    """Whose message it is, which priority it travels with, and where an answer is wanted."""

    key: str
    """What ids are derived from: the message's id, with its source when that is outside (there two may choose the same)."""
    message_id: str
    sender: str
    correlation_id: str
    priority: str
    reply_to: str | None


def cause_of(envelope: Envelope, actor: str) -> Cause:
    """Return the cause that a message is; an effect's result counts as the actor's own word."""
    sender = actor if envelope.source.startswith(EFFECT_SOURCE) else envelope.source
    key = f"{envelope.source}\0{envelope.id}" if is_participant(envelope.source) else envelope.id
    return Cause(key, envelope.id, sender, envelope.correlation_id, envelope.priority, envelope.reply_to)
