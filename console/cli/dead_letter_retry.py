"""A dead letter's message, once more.

The new message is the old one under a new id, derived from the letter and the number of the attempt: deduplication
remembers the old id, and two who retry at once must not send two. The log's settings count the attempts; the number is
taken before anything is sent, so an attempt is sent at most once.
"""

import hashlib
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ...core.errors import PositionTrimmed, ValidationFailed
from ...core.log.port import Draft, Log, Stored
from ...core.runtime.wire import LANE_OF
from ...schemas import Envelope, derived_id, headers_for, partition_of
from ...schemas.envelope import encode_envelope
from .journal import Entry

SETTING: Final = "dead-letter-retries/"


class Letter(NamedTuple):
    """A dead letter: the envelope of the letter itself, and its fields."""

    envelope: Envelope
    data: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The letter's id, by which people name it."""
        return self.envelope.id


async def attempts_of(log: Log, letter_id: str) -> int:
    """Return how often a letter was sent again."""
    return int(await log.get_setting(SETTING + letter_id) or 0)


async def original_of(log: Log, letter: Letter) -> Stored | None:
    """Return the message as it stood in its lane; of one too large for the letter, the record itself while it is kept."""
    data = letter.data
    at_us = int(data["appended_at"].timestamp() * 1_000_000)
    headers = tuple((header["name"], header["value"]) for header in data["headers"])
    place = (data["topic"], data["partition"], data["offset"])
    if data["value"] is not None:
        return Stored(*place, at_us, data["key"], data["value"], headers)
    try:
        read = await log.read(*place, records_max=1)
    except PositionTrimmed:
        return None
    found = read.records[0] if read.records else None
    whole = found is not None and hashlib.sha256(found.value or b"").digest() == data["value_sha256"]
    return found if whole else None


async def send_again(log: Log, letter: Letter, message: Entry | None) -> dict[str, Any]:
    """Append the message under its new id; return what was sent. Raises `ValidationFailed` for what cannot be sent."""
    old = _sendable(letter, message)
    attempt = await _next_attempt(log, letter.id)
    new = old._replace(
        id=derived_id(letter.id, old.id, "dead-letter retry", str(attempt)),
        at_us=time.time_ns() // 1_000,
        causation_id=letter.id,
    )
    draft = _draft(log, letter, message, old, new)
    (offset,) = await log.append([draft])
    place = {"topic": draft.topic, "partition": draft.partition, "offset": offset}
    return {"id": letter.id, "message_id": new.id, "correlation_id": new.correlation_id, "attempt": attempt, **place}


def _sendable(letter: Letter, message: Entry | None) -> Envelope:
    if message is None:
        raise ValidationFailed(
            f"dead letter {letter.id}: the message was too large to keep and is no longer in its lane; only its hash is left"
        )
    if message.envelope is None:
        raise ValidationFailed(
            f"dead letter {letter.id}: these bytes are no message ({message.data['malformed']}), so trying again gives "
            "the same; its sender must send it anew"
        )
    return message.envelope


async def _next_attempt(log: Log, letter_id: str) -> int:
    while True:
        before = await log.get_setting(SETTING + letter_id)
        attempt = int(before or 0) + 1
        if await log.put_setting(SETTING + letter_id, str(attempt), expected=before):
            return attempt


def _draft(log: Log, letter: Letter, message: Entry | None, old: Envelope, new: Envelope) -> Draft:
    value = (message.stored.value or b"") if message is not None else b""
    tail = encode_envelope(old)
    if not value.endswith(tail):  # another version's envelope: its bytes cannot be exchanged without its schema
        raise ValidationFailed(f"dead letter {letter.id}: written by another version of HMS; retry it with that one")
    destination = new.destination.encode()
    partition = partition_of(destination, log.partitions)
    body = value[: -len(tail)]
    return Draft(LANE_OF[new.priority], partition, destination, body + encode_envelope(new), headers_for(new))
