"""One actor in memory: its state, what of its timers and effects is pending, and the fold that leads there."""

from collections.abc import Iterable

from ...schemas import Event, Record, State, derived_id
from .installed import Installed
from .records import (
    ActorQuarantined,
    EffectFinished,
    EffectRetried,
    PendingEffect,
    PendingTimer,
    TimerCancelled,
    TimerFired,
    TimerSet,
)

RUNTIME_EVENTS = frozenset((TimerSet, TimerCancelled, TimerFired, EffectRetried, EffectFinished, ActorQuarantined))


class Cell:
    """The live form of an actor; `sequence` is the last commit folded in, `count` the number of its events."""

    __slots__ = ("address", "count", "effects", "generation", "installed", "quarantine", "sequence", "state", "timers")

    def __init__(self, address: str, installed: Installed) -> None:
        self.address = address
        self.installed = installed
        self.state: State = installed.behaviour.initial()
        self.count = 0
        self.sequence = -1
        self.generation = 0
        self.timers: dict[str, PendingTimer] = {}
        self.effects: dict[str, PendingEffect] = {}
        self.quarantine = ""

    def fold(self, event: Event, state: State | None = None) -> None:
        """Take one event in; `state` is what `evolve` made of it, if somebody knows already. Raises what `evolve` raises."""
        if type(event) in RUNTIME_EVENTS:
            self._fold_runtime(event)
        else:
            self.state = self.installed.behaviour.evolve(self.state, event) if state is None else state
        self.count += 1

    def _fold_runtime(self, event: Record) -> None:
        match event:
            case TimerSet():
                self.generation = event.generation
                self.timers[event.name] = PendingTimer(
                    name=event.name,
                    generation=event.generation,
                    due_us=event.due_us,
                    message=event.message,
                    correlation_id=event.correlation_id,
                )
            case TimerCancelled() | TimerFired():
                self.timers.pop(event.name, None)
            case EffectRetried():
                pending = self.effects.get(event.effect)
                if pending is not None:  # a reaction that the code no longer has began it
                    self.effects[event.effect] = pending.model_copy(
                        update={"attempt": event.attempt + 1, "due_us": event.due_us}
                    )
            case EffectFinished():
                self.effects.pop(event.effect, None)
            case ActorQuarantined():
                if event.fingerprint == self.installed.behaviour.fingerprint:
                    self.quarantine = event.reason
            case _:
                raise AssertionError(event)

    def begin_effects(self, event_id: str, value: bytes, handlers: Iterable[str]) -> list[PendingEffect]:
        """Note the effects of the event just folded, one for each handler, and return them."""
        begun = [
            PendingEffect(
                id=derived_id(self.address, event_id, "effect", handler),
                handler=handler,
                token=self.count,
                attempt=1,
                due_us=0,
                event=value,
            )
            for handler in handlers
        ]
        for pending in begun:
            self.effects[pending.id] = pending
        return begun
