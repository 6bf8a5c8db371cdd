"""What the clients saw, held against the log: every answer is the one that the history gives, and in the order of real time.

What the log says of itself (nothing lost, doubled or made up, the chain whole, replay exact, totals conserved) is checked by the
promises of the simulation; here is what only witnesses with a clock can tell.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from hms.core.runtime import verdict as verdicts
from hms.core.testing.simulation.cast import (
    Appended,
    Balance,
    Deposited,
    Refunded,
    Size,
    Withdrawn,
    behaviours,
)
from hms.core.testing.simulation.evidence import Evidence
from hms.schemas import Envelope, MalformedRecord

from .workload import Timed


def answers_are_those_of_the_history(evidence: Evidence) -> Iterator[str]:
    """No made-up result: an answer is the balance, or the length, right behind the event that the message caused."""
    then = _after_each_event(evidence)
    for wish in _operations(evidence):
        if wish.answer is None:
            continue
        expected = then.get((wish.to.id, wish.id))
        if wish.answer != expected:
            yield f"{wish.id} to {wish.to.id} was answered {wish.answer!r}; by the history it is {expected!r}"


def refusals_are_those_of_the_history(evidence: Evidence) -> Iterator[str]:
    """What was refused to a client was refused in the log, and changed nothing."""
    verdict = {(given["source"], given["id"]): given["verdict"] for _, _, given in evidence.inputs() if given["source"]}
    verdict_of_first = {**{key: given for key, given in verdict.items() if given != verdicts.DUPLICATE}}
    then = _after_each_event(evidence)
    for wish in _operations(evidence):
        if wish.refused and (wish.to.id, wish.id) in then:
            yield f"{wish.id} to {wish.to.id} was refused ({wish.refused}), and has an event"
        if wish.refused and verdict_of_first.get((wish.source, wish.id), verdicts.REFUSED) != verdicts.REFUSED:
            yield f"{wish.id} to {wish.to.id} was refused; its verdict is {verdict_of_first[wish.source, wish.id]}"


def real_time_is_respected(evidence: Evidence) -> Iterator[str]:
    """What was answered before another was asked comes before it in that register."""
    places = {
        (cell.address, name): place
        for cell in evidence.cells()
        for place, name in enumerate(getattr(cell.state, "operations", ()))
    }
    by_register: dict[str, list[tuple[Timed, int]]] = defaultdict(list)
    for wish in _operations(evidence):
        place = places.get((wish.to.id, f"{wish.source}:{wish.number:03}"))
        if place is not None:
            by_register[wish.to.id].append((wish, place))
    for register, wishes in by_register.items():
        yield from _out_of_time(register, wishes)


def _out_of_time(register: str, wishes: list[tuple[Timed, int]]) -> Iterator[str]:
    """Yield each wish that stands before one which was answered before it was asked."""
    answered = sorted((wish.responded_ns, place, wish.id) for wish, place in wishes if wish.asks)
    newest, next_answered = (-1, ""), 0
    for wish, place in sorted(wishes, key=lambda each: each[0].invoked_ns):
        while next_answered < len(answered) and answered[next_answered][0] < wish.invoked_ns:
            newest = max(newest, answered[next_answered][1:])
            next_answered += 1
        if place < newest[0]:
            yield f"{register}: {newest[1]} was answered before {wish.id} was asked, and stands behind it"


def actors_are_heard_in_order(evidence: Evidence) -> Iterator[str]:
    """Messages of one actor to another on one lane are read in the order in which the actor decided to send them."""
    envelopes = _envelopes(evidence)
    decided: dict[tuple[str, str], int] = {}
    for turn, (shard, _, given) in enumerate(evidence.inputs()):
        envelope = envelopes.get((shard, given["lane"], given["offset"]))
        if envelope is not None and given["verdict"] in {verdicts.DECIDED, verdicts.REFUSED}:
            decided[envelope.destination, envelope.id] = turn
    newest: dict[tuple[str, str, int, int], tuple[int, str]] = {}
    for (shard, lane, _), envelope in envelopes.items():
        turn = decided.get((envelope.source, envelope.causation_id or ""), -1)
        before = newest.get((envelope.source, envelope.destination, shard, lane))
        if before is not None and turn < before[0]:
            yield f"{envelope.source} sent {envelope.id} to {envelope.destination} before {before[1]}; it came after it"
        newest[envelope.source, envelope.destination, shard, lane] = (turn, envelope.id)


def _envelopes(evidence: Evidence) -> dict[tuple[int, int, int], Envelope]:
    """Return who wrote to whom, by shard, lane and offset, in the order of the lanes; what is malformed is nobody's."""
    found: dict[tuple[int, int, int], Envelope] = {}
    for (shard, lane), messages in evidence.lanes.items():
        for offset, stored in sorted(messages.items()):
            with suppress(MalformedRecord):
                found[shard, lane, offset] = behaviours().contract.decode(stored.value or b"").envelope
    return found


def _operations(evidence: Evidence) -> Sequence[Timed]:
    return [wish for wish in evidence.witnesses.operations if isinstance(wish, Timed)]


def _after_each_event(evidence: Evidence) -> dict[tuple[str, str], Any]:
    """Return what the answer is by the history, for each (actor, id of the message that caused an event)."""
    cents: dict[str, int] = defaultdict(int)
    sizes: dict[str, int] = defaultdict(int)
    out: dict[tuple[str, str], int] = {}
    found: dict[tuple[str, str], Any] = {}
    for seen in evidence.events:
        actor, cause, event = seen.envelope.source, seen.envelope.causation_id or "", seen.record
        if isinstance(event, Appended):
            sizes[actor] += 1
            found[actor, cause] = Size(count=sizes[actor])
        elif isinstance(event, Deposited | Withdrawn):
            cents[actor] += event.cents if isinstance(event, Deposited) else -event.cents
            found[actor, cause] = Balance(cents=cents[actor])
        if isinstance(event, Withdrawn):
            out[actor, event.transfer] = event.cents
        elif isinstance(event, Refunded):
            cents[actor] += out[actor, event.transfer]
    return found


CHECKS = (
    answers_are_those_of_the_history,
    refusals_are_those_of_the_history,
    real_time_is_respected,
    actors_are_heard_in_order,
)
