"""What must hold of timers and effects: what an actor does by itself, in time and in the world."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from ...log.port import LANES
from ...runtime.records import TimerCancelled, TimerFired, TimerSet
from .cast import Courier, Shipped
from .evidence import Evidence


def timers_are_exact(evidence: Evidence) -> Iterator[str]:
    """Timers are neither lost nor doubled nor early, and nobody is judged before what was there is read."""
    pending: dict[tuple[str, str], Any] = {}
    for seen in evidence.events:
        key = (seen.envelope.source, getattr(seen.record, "name", ""))
        if isinstance(seen.record, TimerSet):
            pending[key] = seen.record
        elif isinstance(seen.record, TimerCancelled):
            pending.pop(key, None)
        elif isinstance(seen.record, TimerFired):
            timer = pending.pop(key, None)
            if timer is None or timer.generation != seen.record.generation:
                yield f"{key} fired generation {seen.record.generation}, which was not set"
            elif seen.now_us < timer.due_us:
                yield f"{key} fired {timer.due_us - seen.now_us} us early"
            elif evidence.witnesses.clocks_right:
                yield from _heard_before(evidence, seen, timer)
    yield from (f"{key} was set and never fired: {timer}" for key, timer in pending.items())


def _heard_before(evidence: Evidence, fired: Any, timer: Any) -> Iterator[str]:
    """Whatever was in the lanes when the timer became due counts before it."""
    commit = evidence.commits[fired.shard][fired.sequence]
    for lane in range(len(LANES)):
        for offset, message in evidence.lanes[fired.shard, lane].items():
            if message.at_us < timer.due_us and offset >= commit.fields["positions"][lane]:
                yield (
                    f"the timer of {fired.envelope.source} fired in commit {fired.sequence} although {LANES[lane]}@{offset} "
                    f"was there {(timer.due_us - message.at_us) // 1_000} ms before it was due and not read"
                )


def effects_act_after_the_commit(evidence: Evidence) -> Iterator[str]:
    """Effects act at least once, never without their event, under tokens that only grow."""
    offsets = {
        (seen.envelope.source, seen.record.parcel): seen.offset
        for seen in evidence.events
        if isinstance(seen.record, Shipped)
    }
    for begun in evidence.witnesses.begun:
        if offsets.get((begun.actor, begun.parcel), begun.log_end) >= begun.log_end:
            yield f"{begun.actor} began to have {begun.parcel} delivered before that was committed"
    shipped = {
        (seen.envelope.source, seen.record.parcel) for seen in evidence.events if isinstance(seen.record, Shipped)
    }
    acted = {(call.actor, call.parcel) for call in evidence.witnesses.calls}
    yield from (f"{actor} had {parcel} delivered, and no event says so" for actor, parcel in sorted(acted - shipped))
    yield from (f"{actor} never had {parcel} delivered" for actor, parcel in sorted(shipped - acted))
    tokens: dict[str, int] = {}
    token_of: dict[str, int] = {}
    for call in evidence.witnesses.calls:
        if call.token < tokens.get(call.actor, 0) or token_of.setdefault(call.effect, call.token) != call.token:
            yield f"{call} came after token {tokens.get(call.actor)}"
        tokens[call.actor] = call.token
    outcomes = Counter(seen.record.effect for seen in evidence.events if type(seen.record).__name__ == "EffectFinished")
    yield from (f"the effect {effect} finished {times} times" for effect, times in outcomes.items() if times != 1)
    if len(outcomes) != len(shipped):
        yield f"{len(shipped)} effects were begun and {len(outcomes)} finished"
    yield from _outcomes(evidence)


def _outcomes(evidence: Evidence) -> Iterator[str]:
    """Every effect that the far side would have taken has succeeded."""
    doomed = {
        seen.record.parcel
        for seen in evidence.events
        if isinstance(seen.record, Shipped) and seen.record.troubles not in (0, 1, 2)
    }
    lost = sum(cell.state.lost for cell in evidence.cells() if isinstance(cell.state, Courier))
    if lost != len(doomed):
        yield f"{len(doomed)} parcels could not be delivered, and {lost} were lost"
