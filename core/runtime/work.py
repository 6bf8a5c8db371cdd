"""What a decision leads to: evolved, encoded and checked before any of it is taken over."""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from ...schemas import Contract, Event, RecordType, derived_id
from ..decision import Decision, Timer
from ..errors import RecordTooLarge
from ..log.port import Draft
from .cause import Cause
from .cell import RUNTIME_EVENTS, Cell
from .records import TimerCancelled, TimerSet
from .wire import ANSWER_BYTES_MAX, Pen, framed


class EvolveFailed(Exception):
    """`evolve` raised on an event that its own `decide` made; the cause says what."""


class Fold(NamedTuple):
    """One event, its id and wire value, and the state that it leads to."""

    event: Event
    id: str
    value: bytes
    state: Any


class Work(NamedTuple):
    """What one input leads to, complete, not yet taken over; `answer` is frame and body of the reply, or empty."""

    drafts: list[Draft]
    folds: list[Fold]
    answer: bytes


def work(pen: Pen, contract: Contract, cell: Cell, cause: Cause, decision: Decision[Event]) -> Work:
    """Evolve and encode everything that a decision says; changes nothing.

    Raises `EvolveFailed`, and `Unencodable` or `RecordTooLarge` for what the log cannot hold.
    """
    drafts: list[Draft] = []
    folds: list[Fold] = []
    state: Any = cell.state
    events = decision.events
    if decision.timers:
        events = (*events, *_timer_events(pen, contract, cell, cause, decision.timers))
    for index, event in enumerate(events):
        if type(event) in cell.installed.events:
            event = _as_restored(contract, event)  # noqa: PLW2901 - from here on the event is what the log will give back
            state = _evolved(cell, state, event)
        elif type(event) not in RUNTIME_EVENTS:
            raise TypeError(
                f"expected an event that {cell.installed.behaviour.name} evolves, got {type(event).__name__}"
            )
        event_id = derived_id(cell.address, cause.key, "event", str(index))
        draft = pen.event(cell.address, cause, event, event_id)
        drafts.append(draft)
        folds.append(Fold(event, event_id, draft.value or b"", state))
    for index, sending in enumerate(decision.sends):
        drafts.append(pen.send(cell.address, cause, sending, index))
    if decision.reply is None:
        return Work(drafts, folds, b"")
    return Work(drafts, folds, _reply(pen, contract, cell, cause, decision, drafts))


def _reply(
    pen: Pen, contract: Contract, cell: Cell, cause: Cause, decision: Decision[Event], drafts: list[Draft]
) -> bytes:
    reply: Any = decision.reply
    record_type = contract.of(type(reply))
    body = record_type.encode_body(reply)
    if len(body) > ANSWER_BYTES_MAX:
        raise RecordTooLarge(
            f"a reply of {record_type.name}: expected at most {ANSWER_BYTES_MAX} bytes, got {len(body)}; reply with a reference"
        )
    if cause.reply_to is not None:
        drafts.append(pen.answer(cell.address, cause, record_type, body))
    return record_type.frame + body


def _as_restored(contract: Contract, event: Event) -> Event:
    """Return the event as a restore will meet it: the log keeps instants, not the zones that they were told in."""
    record_type: RecordType[Event] = contract.of(type(event))
    return record_type.decode_body(record_type.encode_body(event)) if _has_instants(record_type) else event


@cache
def _has_instants(record_type: RecordType[Any]) -> bool:
    return "timestamp-micros" in repr(record_type.body_schema)


def _evolved(cell: Cell, state: Any, event: Event) -> Any:
    try:
        evolved = cell.installed.behaviour.evolve(state, event)
        if type(evolved) not in cell.installed.states:
            raise TypeError(f"expected evolve to return a state, got {type(evolved).__name__}")  # noqa: TRY301 - as its own
    except Exception as error:
        raise EvolveFailed from error
    return evolved


def _timer_events(pen: Pen, contract: Contract, cell: Cell, cause: Cause, timers: Sequence[Timer]) -> list[Event]:
    generation = cell.generation
    known = set(cell.timers)
    events: list[Event] = []
    for timer in timers:
        if timer.message is not None:
            generation += 1
            known.add(timer.name)
            due_us = pen.now_us + timer.after_ms * 1_000
            message = framed(contract, timer.message)
            events.append(
                TimerSet(
                    name=timer.name,
                    generation=generation,
                    due_us=due_us,
                    message=message,
                    correlation_id=cause.correlation_id,
                )
            )
        elif timer.name in known:
            known.discard(timer.name)
            events.append(TimerCancelled(name=timer.name, generation=generation))
    return events
