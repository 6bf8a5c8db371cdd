"""Which records of the log are meant."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from .journal import Entry

RUNTIME_TYPES: Final = frozenset(
    f"hms.{name}"
    for name in (
        *("Commit", "TimerSet", "TimerCancelled", "TimerFired", "EffectRetried", "EffectFinished", "Checkpoint"),
        "CheckpointRecorded",
    )
)
"""What the runtime notes for itself, and who signs its history.

What it says about an actor (`hms.ActorQuarantined`) is not among it.
"""


@dataclass(frozen=True)
class EventFilter:
    """`types` and `actor` may be patterns; nothing given takes all but the runtime's own."""

    types: tuple[str, ...] = ()
    actor: str | None = None
    correlation: str | None = None
    everything: bool = False

    def takes(self, entry: Entry) -> bool:
        """Say whether an entry is meant; one that cannot be read is only if nothing particular is asked for."""
        envelope = entry.envelope
        if envelope is None:
            return not (self.types or self.actor or self.correlation)
        return (
            self._takes_type(envelope.type)
            and (self.actor is None or self._is_actor(envelope.source) or self._is_actor(envelope.destination))
            and self.correlation in (None, envelope.correlation_id)
        )

    def _takes_type(self, name: str) -> bool:
        if not self.types:
            return self.everything or name not in RUNTIME_TYPES
        short = name.rpartition(".")[2]
        return any(fnmatchcase(name, wanted) or fnmatchcase(short, wanted) for wanted in self.types)

    def _is_actor(self, address: str) -> bool:
        return fnmatchcase(address, self.actor or "*")
