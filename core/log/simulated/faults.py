"""What can go wrong in a simulated log, each with its probability per occasion."""

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Faults:
    """Probabilities from 0 to 1, all 0 unless given; `*_ms_max` are the bounds of drawn durations.

    Each strike is counted under its field's name in `SimulatedBroker.strikes`.
    """

    delay: float = 0.0
    """A call or its answer is under way for a while."""
    unreachable: float = 0.0
    """A call fails before anything happened."""
    read_short: float = 0.0
    """A read gives fewer records than there are."""
    append_ack_lost: float = 0.0
    """Written, and nobody hears of it."""
    append_lost: float = 0.0
    """Not written, and nobody hears of it."""
    append_torn: float = 0.0
    """Only the first drafts are written, and nobody hears of it."""
    append_duplicated: float = 0.0
    """A retry below us wrote it twice."""
    commit_aborted: float = 0.0
    """Produced, then aborted: a gap."""
    commit_ack_lost: float = 0.0
    """Committed, and nobody hears of it."""
    commit_lost: float = 0.0
    """Not committed, and nobody hears of it: the transaction hangs open."""
    open_ack_lost: float = 0.0
    """A writer was opened (and fenced its predecessor), and nobody hears of it."""
    marker_late: float = 0.0
    """Committed and answered, but not to be read yet: the markers are still being written."""
    stranger_hangs: float = 0.0
    """Somebody else leaves a transaction open in a partition."""
    clock_skewed: float = 0.0
    """A record's append time is off."""
    membership_stale: float = 0.0
    """A node goes on seeing an old assignment."""
    rebalance_in_commit: float = 0.0
    """The shard is given to another node while its owner commits."""
    offsets_expired: float = 0.0
    """The group is forgotten, as Kafka does with expired offsets: everybody is assigned anew."""
    delay_ms_max: int = 50
    marker_late_ms_max: int = 200
    stranger_ms_max: int = 30_000
    skew_ms_max: int = 60_000
    stale_ms_max: int = 8_000

    @classmethod
    def all(cls, probability: float) -> "Faults":
        """Return every fault at the same probability."""
        probabilities: dict[str, Any] = dict.fromkeys(FAULT_NAMES, probability)
        return cls(**probabilities)


FAULT_NAMES: tuple[str, ...] = tuple(field.name for field in fields(Faults) if not field.name.endswith("_ms_max"))
