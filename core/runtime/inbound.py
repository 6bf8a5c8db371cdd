"""Messages on their way in: read from a lane, decoded, or found malformed."""

from typing import Any, Final, NamedTuple

from ...schemas import Contract, Envelope, MalformedRecord, UnknownSchema, check_headers
from ..decision import PRIORITIES
from ..log.port import RECORD_BYTES_MAX, Stored

TEXT_CHARS_MAX: Final = 1_000
"""Of each text of an envelope: they come again in answers, commit records and dead letters, which must fit too."""


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
    except Exception as error:  # noqa: BLE001 - a model's own validators may raise anything
        return Inbound(lane, stored, _envelope(contract, stored), None, f"{type(error).__name__}: {error}")
    if mistake := mistake_in(envelope, len(stored.value or b"")):
        return Inbound(lane, stored, None, None, mistake)
    if envelope.destination.encode() != stored.key:
        reason = f"expected the key to be the destination {envelope.destination!r}, got {stored.key!r}"
        return Inbound(lane, stored, envelope, record, reason)
    return Inbound(lane, stored, envelope, record, None)


def mistake_in(envelope: Envelope, size: int = RECORD_BYTES_MAX) -> str:
    """Say what is wrong with the texts of an envelope in a value of `size` bytes, or nothing; its writer gets no answer."""
    if envelope.priority not in PRIORITIES:
        return f"expected a priority of {', '.join(PRIORITIES)}, got {envelope.priority[:100]!r}"
    if not envelope.destination.partition("/")[2]:
        return f"expected a destination behaviour/key, got {envelope.destination[:100]!r}"
    if size <= TEXT_CHARS_MAX:
        return ""
    for name, text in zip(Envelope._fields, envelope, strict=True):
        if isinstance(text, str) and len(text) > TEXT_CHARS_MAX:
            return f"expected at most {TEXT_CHARS_MAX} characters in the envelope's {name}, got {len(text)}"
    return ""


def _envelope(contract: Contract, stored: Stored) -> Envelope | None:
    """Return the envelope of a message whose body or headers are wrong, so that its sender can be told."""
    try:
        envelope = contract.envelope_of(stored.value or b"")
    except MalformedRecord:
        return None
    return envelope if envelope.destination.encode() == stored.key and not mistake_in(envelope) else None


def unreadable(lane: int, stored: Stored, error: MalformedRecord) -> Inbound:
    """Return the inbound form of a message whose schema nobody knows."""
    return Inbound(lane, stored, None, None, str(error))
