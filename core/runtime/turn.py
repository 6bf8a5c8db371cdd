"""One turn of a shard: a slice of inputs on its way to becoming one commit.

Everything here is synchronous and touches only memory: the cells of the actors concerned, and the lists that will be
the transaction. What an input leads to is worked out first and taken over only when all of it is known to be good, so a
`decide` or `evolve` that raises leaves no half of anything behind.
"""

from asyncio import CancelledError
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from ...schemas import Envelope, Event, derived_id, partition_of
from ..address import is_participant
from ..behaviour import Context
from ..decision import Decision
from ..log.port import Draft, Stored
from . import verdict as verdicts
from .actor_table import ActorTable
from .cause import EFFECT_SOURCE, Cause, cause_of
from .cell import Cell
from .dedup import AnswerTable, Remembered
from .inbound import Inbound
from .input_record import encode_input, encode_remembered, encode_timer
from .installed import Behaviours
from .records import (
    TIMER_LANE,
    ActorQuarantined,
    EffectAttemptFailed,
    EffectFailed,
    EffectFinished,
    EffectRetried,
    EffectSucceeded,
    PendingEffect,
    PendingTimer,
    TimerFired,
    TimerSet,
)
from .replies import Replies
from .shard_options import ShardOptions
from .wire import PROTOCOL_VERSION, Pen, described
from .work import EvolveFailed, Work, work

ANSWERED_BYTES_MAX = 500_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Turn:
    """The slice in the making; afterwards its lists are the transaction's content."""

    def __init__(
        self,
        shard: int,
        partitions: int,
        behaviours: Behaviours,
        actors: ActorTable,
        answers: AnswerTable,
        options: ShardOptions,
        now_us: int,
        *,
        headers: bool = True,
    ) -> None:
        self._shard = shard
        self._partitions = partitions
        self._behaviours = behaviours
        self._contract = behaviours.contract
        self._actors = actors
        self._answers = answers
        self._options = options
        self.now_us = now_us
        self.now = EPOCH + timedelta(microseconds=now_us)
        self._pen = Pen(shard, partitions, behaviours.contract, options.value_bytes_max, now_us, headers=headers)
        self.drafts: list[Draft] = []
        self._replies = Replies(self._pen, behaviours, self.drafts)
        self.inputs: list[bytes] = []
        """The consumed ones, each as the `Input` of the commit record."""
        self.read: list[bytes] = []
        self._answered_bytes = 0
        self._written_bytes = 0
        self._weighed = 0
        self.touched: dict[str, Cell] = {}
        self.new_answers: dict[tuple[str, str, str], Remembered] = {}
        self.begun: list[tuple[str, PendingEffect]] = []
        self.begun_effects: list[dict[str, str]] = []
        """What the commit record says of the new ones among them."""
        self.finished: list[tuple[str, str]] = []
        """(actor, effect) of the effects that are over with this turn."""
        self.timers_set: list[tuple[int, str, str, int]] = []
        self.strange = False
        """Whether a message was for a behaviour that is not installed here."""

    @property
    def full(self) -> bool:
        """Tell whether more inputs could make the commit record, or the commit, larger than they may be."""
        return (
            len(self.inputs) >= self._options.slice_inputs_max
            or self._answered_bytes >= ANSWERED_BYTES_MAX
            or self._bytes_written() >= self._options.commit_bytes_max
        )

    def _bytes_written(self) -> int:
        """Return about how many bytes the drafts have; each is looked at once."""
        self._written_bytes += sum([len(draft.value or b"") for draft in self.drafts[self._weighed :]])
        self._weighed = len(self.drafts)
        return self._written_bytes

    @property
    def newest_at_us(self) -> int:
        """The append time of the last input from outside that is new; 0 without one."""
        return next(reversed(self.new_answers.values())).at_us if self.new_answers else 0

    # --- inputs -------------------------------------------------------------------------------------------------

    def handle(self, inbound: Inbound) -> None:
        """Give one message its verdict, and the verdict its consequences."""
        self.read.append(inbound.stored.value or b"")
        try:
            self._handle(inbound)
        except (Exception, CancelledError) as error:  # noqa: BLE001 - what cannot even be answered must not stop the shard either
            self._bury(inbound, verdicts.FAILED, error, silently=True)

    def _handle(self, inbound: Inbound) -> None:
        stored = inbound.stored
        envelope = inbound.envelope
        if inbound.error is not None or envelope is None:
            self._bury(inbound, verdicts.MALFORMED, inbound.error or "", code="message_format_error")
        elif partition_of(stored.key, self._partitions) != self._shard:
            self._forward(inbound)
        elif is_participant(envelope.source):
            self._handle_from_outside(inbound, envelope)
        else:
            self._handle_fresh(inbound, envelope)

    def kill(self, inbound: Inbound, detail: str) -> None:
        """Bury a message without trying to handle it: it has killed the shard before."""
        self.read.append(inbound.stored.value or b"")
        self._bury(inbound, verdicts.FAILED, detail, silently=True)

    def fire(self, actor: str, name: str, generation: int, *, killer: bool = False) -> bool:
        """Fire a timer if it is still set in that generation; return whether it was. A killer's message is buried."""
        cell = self._actors.get(actor)
        timer = cell.timers.get(name) if cell is not None else None
        if cell is None or timer is None or timer.generation != generation:
            return False
        id_ = derived_id(actor, name, "timer", str(generation))
        cause = Cause(id_, id_, actor, timer.correlation_id, "normal", None)
        fired = TimerFired(name=name, generation=generation)
        verdict = self._bury_killer(cell, cause, timer, fired) if killer else self._fire(cell, cause, timer, fired)
        self.inputs.append(encode_timer(TIMER_LANE, generation, verdict, actor, name))
        return True

    def _fire(self, cell: Cell, cause: Cause, timer: PendingTimer, fired: TimerFired) -> str:
        if cell.quarantine:
            self._take_over(cell, self._work(cell, cause, Decision((fired,), (), (), None)))
            self._bury_timer(cell, cause, timer, cell.quarantine)
            return verdicts.QUARANTINED
        try:
            message = self._contract.decode_body(timer.message)
            decision = cell.installed.behaviour.decide(cell.state, message, self._context(cell, cause))
            if decision.refusal is not None:
                self._take_over(cell, self._work(cell, cause, Decision((fired,), (), (), None)))
                return verdicts.REFUSED
            accepted = Decision((fired, *decision.events), decision.sends, decision.timers, None)
            self._take_over(cell, self._work(cell, cause, accepted))
        except (Exception, CancelledError) as error:  # noqa: BLE001 - a behaviour may raise anything: it must not stop the shard
            self._take_over(cell, self._work(cell, cause, Decision((fired,), (), (), None)))
            self._bury_timer(cell, cause, timer, error)
            return verdicts.FAILED
        return verdicts.DECIDED

    def _bury_killer(self, cell: Cell, cause: Cause, timer: PendingTimer, fired: TimerFired) -> str:
        self._take_over(cell, self._work(cell, cause, Decision((fired,), (), (), None)))
        self._bury_timer(cell, cause, timer, "the shard died each time it handled this timer")
        return verdicts.FAILED

    # --- verdicts -----------------------------------------------------------------------------------------------

    def _handle_from_outside(self, inbound: Inbound, envelope: Envelope) -> None:
        key = (envelope.source, envelope.id, envelope.destination)
        known = self.new_answers.get(key) or self._answers.find(key)
        if known is not None:
            self._replies.again(envelope, known)
            self._input(inbound, verdicts.DUPLICATE)
        elif self._answers.too_old(envelope.id, inbound.lane, inbound.stored.at_us):
            reason = "the id was created before the horizon of deduplication; send the message again with a new id"
            self._refuse(inbound, envelope, "too_old", reason, verdicts.REFUSED)
        else:
            self._handle_fresh(inbound, envelope)

    def _handle_fresh(self, inbound: Inbound, envelope: Envelope) -> None:
        if envelope.ttl_ms is not None and inbound.stored.at_us + envelope.ttl_ms * 1_000 < self.now_us:
            reason = f"the message lived for {envelope.ttl_ms} ms from its append, and they are over"
            self._refuse(inbound, envelope, "message_timeout", reason, verdicts.EXPIRED)
            return
        cell = self._actors.get(envelope.destination)
        if cell is None:
            self.strange = True
            reason = f"no behaviour {envelope.destination.partition('/')[0]!r} is installed"
            self._bury(inbound, verdicts.UNDELIVERABLE, reason, code="destination_not_found")
        elif cell.quarantine:
            self._bury(inbound, verdicts.QUARANTINED, cell.quarantine)
        elif envelope.source.startswith(EFFECT_SOURCE):
            self._handle_effect_result(inbound, envelope, cell)
        else:
            self._handle_for(inbound, envelope, cell, ())

    def _handle_for(self, inbound: Inbound, envelope: Envelope, cell: Cell, first: tuple[Event, ...]) -> None:
        record = inbound.record
        if type(record) not in cell.installed.messages:
            self._take_over_events(cell, envelope, first)
            reason = f"{cell.installed.behaviour.name} does not take {envelope.type}"
            self._bury(inbound, verdicts.UNDELIVERABLE, reason, code="validation_error")
            return
        cause = cause_of(envelope, cell.address)
        try:
            decision = cell.installed.behaviour.decide(cell.state, record, self._context(cell, cause))
            refusal = decision.refusal
        except Exception as error:  # noqa: BLE001 - a behaviour may raise anything: it must not stop the shard
            self._take_over_events(cell, envelope, first)
            self._bury(inbound, verdicts.FAILED, error)
            return
        if refusal is not None:
            self._take_over_events(cell, envelope, first)
            self._refuse(inbound, envelope, str(refusal.code), str(refusal.reason), verdicts.REFUSED)
            return
        self._accept(inbound, envelope, cell, cause, decision, first)

    def _accept(
        self,
        inbound: Inbound,
        envelope: Envelope,
        cell: Cell,
        cause: Cause,
        decision: Decision[Event],
        first: tuple[Event, ...],
    ) -> None:
        if first:
            decision = Decision((*first, *decision.events), decision.sends, decision.timers, decision.reply)
        try:
            work = self._work(cell, cause, decision)
        except EvolveFailed as error:
            self._quarantine(cell, cause, error)
            self._bury(inbound, verdicts.QUARANTINED, error.__cause__ or error)
            return
        except Exception as error:  # noqa: BLE001 - e.g. a value that its schema cannot hold
            self._take_over_events(cell, envelope, first)
            self._bury(inbound, verdicts.FAILED, error)
            return
        self._take_over(cell, work)
        self._input(inbound, verdicts.DECIDED, work.answer)

    def _handle_effect_result(self, inbound: Inbound, envelope: Envelope, cell: Cell) -> None:
        pending = cell.effects.get(envelope.causation_id or "")
        if pending is None:
            self._input(inbound, verdicts.DUPLICATE)
            return
        record = inbound.record
        match record:
            case EffectSucceeded():
                self._take_over_events(cell, envelope, (EffectFinished(effect=pending.id, outcome="succeeded"),))
                self._input(inbound, verdicts.DECIDED)
            case EffectAttemptFailed():
                self._handle_failed_attempt(inbound, envelope, cell, pending, record)
            case _:
                self._handle_for(inbound, envelope, cell, (EffectFinished(effect=pending.id, outcome="succeeded"),))

    def _handle_failed_attempt(
        self, inbound: Inbound, envelope: Envelope, cell: Cell, pending: PendingEffect, failed: EffectAttemptFailed
    ) -> None:
        if failed.attempt < pending.attempt:
            self._input(inbound, verdicts.DUPLICATE)
            return
        if failed.retryable and failed.attempt < self._options.effect_attempts:
            delay_ms = self._options.effect_backoff_ms * 2 ** (failed.attempt - 1)
            retried = EffectRetried(
                effect=pending.id,
                attempt=failed.attempt,
                error=failed.error,
                due_us=self.now_us + delay_ms * 1_000,
            )
            self._take_over_events(cell, envelope, (retried,))
            self.begun.append((cell.address, cell.effects[pending.id]))
            self._input(inbound, verdicts.DECIDED)
            return
        finished = EffectFinished(effect=pending.id, outcome="failed", error=failed.error)
        if EffectFailed in cell.installed.messages:
            event_type = self._contract.decode(pending.event)[0].type
            told = EffectFailed(effect=pending.id, event=event_type, error=failed.error)
            self._handle_for(inbound._replace(record=told), envelope, cell, (finished,))
        else:
            self._take_over_events(cell, envelope, (finished,))
            self._input(inbound, verdicts.DECIDED)

    # --- consequences -------------------------------------------------------------------------------------------

    def _work(self, cell: Cell, cause: Cause, decision: Decision[Event]) -> Work:
        return work(self._pen, self._contract, cell, cause, decision)

    def _take_over(self, cell: Cell, work: Work) -> None:
        self.drafts.extend(work.drafts)
        for event, event_id, value, state in work.folds:
            cell.fold(event, state)
            if type(event) in cell.installed.reactions:
                self._begin_effects(cell, event_id, value, cell.installed.reactions[type(event)])
            elif type(event) is TimerSet:
                self.timers_set.append((event.due_us, cell.address, event.name, event.generation))
            elif type(event) is EffectFinished:
                self.finished.append((cell.address, event.effect))
        if work.folds:
            self.touched[cell.address] = cell

    def _begin_effects(self, cell: Cell, event_id: str, value: bytes, handlers: Iterable[str]) -> None:
        self.begun.extend((cell.address, pending) for pending in cell.begin_effects(event_id, value, handlers))
        self.begun_effects.extend({"event": event_id, "handler": handler} for handler in handlers)

    def _take_over_events(self, cell: Cell, envelope: Envelope, events: tuple[Event, ...]) -> None:
        if events:
            self._take_over(cell, self._work(cell, cause_of(envelope, cell.address), Decision(events, (), (), None)))

    def _quarantine(self, cell: Cell, cause: Cause, error: Exception) -> None:
        fingerprint = cell.installed.behaviour.fingerprint
        event = ActorQuarantined(
            reason=f"evolve failed: {described(error.__cause__ or error)}", fingerprint=fingerprint
        )
        self._take_over(cell, self._work(cell, cause, Decision((event,), (), (), None)))

    def _refuse(self, inbound: Inbound, envelope: Envelope, code: str, reason: str, verdict: str) -> None:
        self._input(inbound, verdict, self._replies.refuse(envelope, code, reason))

    def _forward(self, inbound: Inbound) -> None:
        stored = inbound.stored
        target = partition_of(stored.key, self._partitions)
        self.drafts.append(Draft(stored.topic, target, stored.key, stored.value, stored.headers))
        self._input(inbound, verdicts.FORWARDED)

    def _bury(
        self, inbound: Inbound, verdict: str, detail: object, *, code: str = "internal_error", silently: bool = False
    ) -> None:
        """Write a dead letter; tell the one who asked, unless telling is what fails."""
        answer = b""
        envelope = inbound.envelope
        if envelope is not None and not silently:
            told = described(detail) if isinstance(detail, BaseException) else str(detail)
            answer = self._replies.fail(envelope, code, told)
        self.drafts.append(self._pen.dead_letter(inbound.stored, envelope, verdict, detail))
        self._input(inbound, verdict, answer)

    def _bury_timer(self, cell: Cell, cause: Cause, timer: PendingTimer, error: object) -> None:
        record_type = self._contract.by_id(int.from_bytes(timer.message[1:5], "big"))
        if record_type is None:
            return
        envelope = Envelope(
            cause.message_id,
            cell.address,
            cell.address,
            record_type.name,
            self.now_us,
            cause.correlation_id,
            None,
            None,
            cause.priority,
            None,
            PROTOCOL_VERSION,
        )
        draft = self._pen.message(record_type, timer.message[5:], envelope)
        stored = Stored(draft.topic, draft.partition, -1, self.now_us, draft.key, draft.value, draft.headers)
        self.drafts.append(self._pen.dead_letter(stored, envelope, verdicts.FAILED, error))

    # --- the record of it ---------------------------------------------------------------------------------------

    def _context(self, cell: Cell, cause: Cause) -> Context:
        return Context(cell.address, cause.sender, self.now, cause.message_id, cause.correlation_id)

    def _input(self, inbound: Inbound, verdict: str, answer: bytes = b"") -> None:
        envelope = inbound.envelope
        stored = inbound.stored
        if envelope is None or not is_participant(envelope.source) or verdict in _NOT_REMEMBERED:
            self.inputs.append(encode_input(inbound.lane, stored.offset, verdict))
            return
        key = (envelope.source, envelope.id, envelope.destination)
        given = Remembered(*key, inbound.lane, stored.at_us, verdict, answer)
        self.inputs.append(encode_remembered(stored.offset, given))
        self.new_answers[key] = given
        self._answered_bytes += given.size


_NOT_REMEMBERED = (verdicts.DUPLICATE, verdicts.FORWARDED, verdicts.MALFORMED)
