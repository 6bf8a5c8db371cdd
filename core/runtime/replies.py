"""Who hears what became of a message: refusals, failures, and the same answer again."""

from typing import Any

from ...schemas import Envelope
from ..address import is_participant
from ..log.port import Draft
from . import verdict as verdicts
from .cause import Cause, cause_of
from .dedup import Remembered
from .installed import Behaviours
from .records import MessageRefused
from .wire import Pen, framed, plain


class Replies:
    """Writes the answers of one turn that no behaviour gives; each returns what a duplicate is to hear, framed, or nothing."""

    def __init__(self, pen: Pen, behaviours: Behaviours, drafts: list[Draft]) -> None:
        self._pen = pen
        self._behaviours = behaviours
        self._contract = behaviours.contract
        self._drafts = drafts

    def refuse(self, envelope: Envelope, code: str, reason: str) -> bytes:
        """Tell a refusal where an answer was asked for, or else to a sender that is an actor; never one of a refusal."""
        if envelope.type == MessageRefused.explicit_type:
            return b""
        refusal = MessageRefused(message_id=envelope.id, code=plain(code), reason=plain(reason))
        cause = cause_of(envelope, envelope.destination)
        if cause.reply_to is None and not is_participant(cause.sender) and self._behaviours.of(cause.sender):
            cause = cause._replace(reply_to=cause.sender)
        self._answer(envelope.destination, cause, refusal)
        return framed(self._contract, refusal)

    def fail(self, envelope: Envelope, code: str, reason: str) -> bytes:
        """Tell a failure where an answer was asked for; a sender that did not ask hears nothing: the dead letter is kept."""
        if envelope.reply_to is None or envelope.type == MessageRefused.explicit_type:
            return b""
        refusal = MessageRefused(message_id=envelope.id, code=code, reason=plain(reason))
        self._answer(envelope.destination, cause_of(envelope, envelope.destination), refusal)
        return framed(self._contract, refusal)

    def again(self, envelope: Envelope, known: Remembered) -> None:
        """Answer a duplicate as its original was answered."""
        if not known.answer and known.verdict != verdicts.DECIDED:
            reason = f"the message was handled before, without an answer; its verdict was {known.verdict!r}"
            self.fail(envelope, "internal_error", reason)
        elif known.answer and envelope.reply_to is not None:
            answer = self._contract.decode_body(known.answer)
            self._answer(envelope.destination, cause_of(envelope, envelope.destination), answer)

    def _answer(self, source: str, cause: Cause, reply: Any) -> None:
        if cause.reply_to is not None:
            record_type = self._contract.of(type(reply))
            self._drafts.append(self._pen.answer(source, cause, record_type, record_type.encode_body(reply)))
