"""Messages on their way in: read from a lane, decoded, or found malformed."""

from typing import Any, NamedTuple

from ...schemas import Contract, Envelope, MalformedRecord, UnknownSchema, check_headers
from ..log.port import Stored


class Inbound(NamedTuple):
    """One message from a lane (0 to 3); `error` says why it could not be read, and then the rest may be None."""

    lane: int
    stored: Stored
    envelope: Envelope | None
    record: Any
    error: str | None


def decode(contract: Contract, lane: int, stored: Stored) -> Inbound:
    """Decode one message and hold it against its key and headers. Raises `UnknownSchema` only."""
    try:
        envelope, record = contract.decode(stored.value or b"")
        check_headers(stored.headers, envelope)
    except UnknownSchema:
        raise
    except MalformedRecord as error:
        return Inbound(lane, stored, _envelope(contract, stored), None, str(error))
    if envelope.destination.encode() != stored.key:
        reason = f"expected the key to be the destination {envelope.destination!r}, got {stored.key!r}"
        return Inbound(lane, stored, envelope, record, reason)
    return Inbound(lane, stored, envelope, record, None)


def _envelope(contract: Contract, stored: Stored) -> Envelope | None:
    """Return the envelope of a message whose body or headers are wrong, so that its sender can be told."""
    try:
        envelope = contract.envelope_of(stored.value or b"")
    except MalformedRecord:
        return None
    return envelope if envelope.destination.encode() == stored.key else None


def unreadable(lane: int, stored: Stored, error: MalformedRecord) -> Inbound:
    """Return the inbound form of a message whose schema nobody knows."""
    return Inbound(lane, stored, None, None, str(error))
