"""From records to drafts: the envelopes, ids and lanes of what a shard or a client writes."""

import hashlib
import traceback
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ...schemas import Contract, Envelope, Event, Record, RecordType, derived_id, headers_for, partition_of
from ..address import is_participant
from ..decision import Send
from ..errors import RecordTooLarge
from ..log.port import CRITICAL, DEAD_LETTERS, EVENTS, HIGH, LOW, NORMAL, OUTBOX, Draft, Stored
from .cause import Cause
from .records import DeadLetter, Header

LANE_OF: Final = {"critical": CRITICAL, "high": HIGH, "normal": NORMAL, "low": LOW}
PROTOCOL_VERSION: Final = "1.0"
DETAIL_CHARS_MAX: Final = 8_000
REASON_CHARS_MAX: Final = 2_000
ANSWER_BYTES_MAX: Final = 400_000
"""Of one answer; the commit record holds it, together with the others of its slice."""
HEADERS_BYTES_MAX: Final = 20_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def framed(contract: Contract, record: Record) -> bytes:
    """Encode a record as Confluent frame and body, without an envelope: what is kept inside other records."""
    record_type = contract.of(type(record))
    return record_type.frame + record_type.encode_body(record)


def message_draft(
    record_type: RecordType[Any],
    body: bytes,
    envelope: Envelope,
    partitions: int,
    bytes_max: int,
    *,
    headers: bool = True,
) -> Draft:
    """Return the draft of a message to an actor (its lane's topic) or to a participant outside (the outbox)."""
    destination = envelope.destination
    topic = OUTBOX if is_participant(destination) else LANE_OF[envelope.priority]
    value = record_type.wire(body, envelope)
    _check_size(value, envelope, bytes_max)
    key = destination.encode()
    return Draft(topic, partition_of(key, partitions), key, value, headers_for(envelope) if headers else ())


def _check_size(value: bytes, envelope: Envelope, bytes_max: int) -> None:
    if len(value) > bytes_max:
        raise RecordTooLarge(
            f"{envelope.type} to {envelope.destination}: expected at most {bytes_max} bytes, got {len(value)}; "
            "send a reference to the data instead"
        )


class Pen:
    """Writes what one turn of one shard produces, all of it stamped with the turn's time."""

    def __init__(
        self, shard: int, partitions: int, contract: Contract, bytes_max: int, now_us: int, *, headers: bool = True
    ) -> None:
        self._shard = shard
        self._partitions = partitions
        self._contract = contract
        self._bytes_max = bytes_max
        self._headers = headers
        self.now_us = now_us

    def event(self, actor: str, cause: Cause, event: Event, event_id: str) -> Draft:
        """Return an actor's event."""
        record_type = self._contract.of(type(event))
        envelope = Envelope(
            event_id,
            actor,
            actor,
            record_type.name,
            self.now_us,
            cause.correlation_id,
            cause.message_id,
            None,
            cause.priority,
            None,
            PROTOCOL_VERSION,
        )
        value = record_type.wire(record_type.encode_body(event), envelope)
        _check_size(value, envelope, self._bytes_max)
        return Draft(EVENTS, self._shard, actor.encode(), value, headers_for(envelope) if self._headers else ())

    def send(self, actor: str, cause: Cause, sending: Send, index: int) -> Draft:
        """Return a message that an actor sends; without a priority of its own it stays on its cause's lane."""
        record_type = self._contract.of(type(sending.message))
        envelope = Envelope(
            derived_id(actor, cause.key, "send", str(index)),
            actor,
            sending.to,
            record_type.name,
            self.now_us,
            cause.correlation_id,
            cause.message_id,
            actor if sending.reply else None,
            sending.priority or cause.priority,
            sending.ttl_ms,
            PROTOCOL_VERSION,
        )
        return self.message(record_type, record_type.encode_body(sending.message), envelope)

    def answer(self, actor: str, cause: Cause, record_type: RecordType[Any], body: bytes) -> Draft:
        """Return an answer to `cause.reply_to`, on the lane of what is answered."""
        destination = cause.reply_to or ""
        envelope = Envelope(
            derived_id(actor, cause.key, "reply", destination),
            actor,
            destination,
            record_type.name,
            self.now_us,
            cause.correlation_id,
            cause.message_id,
            None,
            cause.priority,
            None,
            PROTOCOL_VERSION,
        )
        return self.message(record_type, body, envelope)

    def message(self, record_type: RecordType[Any], body: bytes, envelope: Envelope) -> Draft:
        """Return a message whose envelope is known."""
        return message_draft(record_type, body, envelope, self._partitions, self._bytes_max, headers=self._headers)

    def own(self, key: str, topic: str, record: Record, *, id_parts: tuple[str, ...]) -> Draft:
        """Return a record of the shard itself (commit record, checkpoint), addressed to itself."""
        record_type = self._contract.of(type(record))
        return self.own_body(key, topic, record_type, record_type.encode_body(record), id_parts=id_parts)

    def own_body(
        self, key: str, topic: str, record_type: RecordType[Any], body: bytes, *, id_parts: tuple[str, ...]
    ) -> Draft:
        """Return a record of the shard itself whose body is encoded already."""
        id_ = derived_id(key, *id_parts)
        envelope = Envelope(
            id_, key, key, record_type.name, self.now_us, id_, None, None, "normal", None, PROTOCOL_VERSION
        )
        value = record_type.wire(body, envelope)
        return Draft(topic, self._shard, key.encode(), value, headers_for(envelope) if self._headers else ())

    def dead_letter(self, stored: Stored, envelope: Envelope | None, reason: str, detail: object) -> Draft:
        """Return the dead letter of a message: whole, or its hash and place when it is too large."""
        value = stored.value or b""
        headers = stored.headers
        whole = len(value) <= self._bytes_max and sum(len(name) + len(v) for name, v in headers) <= HEADERS_BYTES_MAX
        letter = DeadLetter(
            reason=reason,
            detail=_detail(detail),
            topic=stored.topic,
            partition=stored.partition,
            offset=stored.offset,
            appended_at=EPOCH + timedelta(microseconds=stored.at_us),
            key=stored.key[:1_000],
            value=value if whole else None,
            value_sha256=hashlib.sha256(value).digest(),
            headers=tuple(Header(name=name, value=header) for name, header in headers) if whole else (),
        )
        key = envelope.destination if envelope is not None else f"shard/{self._shard}"
        place = (stored.topic, str(stored.partition), str(stored.offset), str(self.now_us if stored.offset < 0 else 0))
        return self.own(key, DEAD_LETTERS, letter, id_parts=("dead-letter", *place))


def plain(text: str, chars_max: int = REASON_CHARS_MAX) -> str:
    """Return a text of anybody's making as one that every record takes: not too long, no lone surrogates."""
    return text[:chars_max].encode(errors="backslashreplace").decode()


def described(error: BaseException) -> str:
    """Return an exception in one line, even one whose own text raises."""
    try:
        return plain(f"{type(error).__name__}: {error}")
    except Exception:  # noqa: BLE001 - its `__str__` is the user's code
        return type(error).__name__


def _detail(detail: object) -> str:
    if isinstance(detail, BaseException):
        return plain("".join(traceback.format_exception(detail, limit=-8))[-DETAIL_CHARS_MAX:], DETAIL_CHARS_MAX)
    return plain(str(detail), DETAIL_CHARS_MAX)
