"""What one seed makes of a world: how many nodes, which faults how often, what the storm does when."""

from dataclasses import dataclass, replace
from random import Random
from typing import Final

from ...log.simulated import FAULT_NAMES, Faults
from ...runtime.shard_options import ShardOptions

STRENGTH: Final = {
    "delay": 0.1,
    "unreachable": 0.03,
    "read_short": 0.3,
    "append_ack_lost": 0.1,
    "append_lost": 0.1,
    "append_torn": 0.1,
    "append_duplicated": 0.15,
    "commit_aborted": 0.08,
    "commit_ack_lost": 0.08,
    "commit_lost": 0.05,
    "open_ack_lost": 0.1,
    "marker_late": 0.1,
    "stranger_hangs": 0.015,
    "clock_skewed": 0.2,
    "membership_stale": 0.3,
    "rebalance_in_commit": 0.03,
    "offsets_expired": 0.03,
}
"""How often each fault of the log strikes per occasion, at most, in a world that has it."""

CRASH, ZOMBIE, CLOCK_JUMP, CLOCK_FAR, NEWCOMER = "crash", "zombie", "clock_jump", "clock_far", "newcomer"
ACTIONS: Final = (CRASH, CRASH, ZOMBIE, CLOCK_JUMP, CLOCK_FAR, NEWCOMER)
OUTDATED: Final = "outdated"
"""A node runs apps from before the others brought more."""
DUPLICATE, STRAY, MALFORMED, POISON, EXPIRED, TOO_OLD = (
    "duplicate",
    "stray",
    "malformed",
    "poison",
    "expired",
    "too_old",
)
WORLD_FAULTS: Final = (
    *(CRASH, ZOMBIE, CLOCK_JUMP, CLOCK_FAR, NEWCOMER, OUTDATED),
    *(DUPLICATE, STRAY, MALFORMED, POISON, EXPIRED, TOO_OLD),
)
ALL_FAULTS: Final = (*FAULT_NAMES, *WORLD_FAULTS)
"""Every fault that a run has to have seen, the log's and the world's."""


@dataclass(frozen=True)
class Action:
    """Something that the storm does between two steps; `for_ms` is how long until it is undone."""

    kind: str
    after_steps: int
    for_ms: int


@dataclass(frozen=True)
class Plan:
    """A world in the making."""

    seed: int
    nodes: int
    partitions: int
    clients: int
    operations: int
    """Of each client."""
    faults: Faults
    actions: tuple[Action, ...]
    options: ShardOptions
    skewed: bool
    """Whether any clock may be wrong; where not, more can be checked."""
    outdated: bool
    """Whether the first node's code is older than that of the others."""


def plan_of(seed: int) -> Plan:
    """Draw a world."""
    random = Random(f"plan {seed}")  # noqa: S311 - a simulation, not a secret
    faults = _faults(random)
    actions = tuple(
        Action(random.choice(ACTIONS), random.randint(50, 800), random.choice((5, 50, 400, 600, 1_500)))
        for _ in range(random.choice((0, 1, 1, 2, 3)))
    )
    skewed = faults.clock_skewed > 0 or any(action.kind in (CLOCK_JUMP, CLOCK_FAR) for action in actions)
    return Plan(
        seed,
        nodes=random.choice((1, 2, 2, 2, 3)),
        partitions=random.choice((1, 2, 2, 3)),
        clients=random.choice((1, 2, 2)),
        operations=random.randint(6, 14),
        faults=faults,
        actions=actions,
        options=_options(random),
        skewed=skewed,
        outdated=random.random() < 0.05,  # noqa: PLR2004
    )


def _faults(random: Random) -> Faults:
    """Choose a few faults for a world: all of them at once would hide one behind the other."""
    calm = random.random() < 0.1  # noqa: PLR2004 - one world in ten has none
    chosen = [] if calm else [name for name in FAULT_NAMES if random.random() < 0.25]  # noqa: PLR2004
    faults = Faults(delay_ms_max=30, marker_late_ms_max=100, stranger_ms_max=1_500, skew_ms_max=5_000)
    return replace(faults, **{name: random.uniform(0.2, 1) * STRENGTH[name] for name in chosen})  # type: ignore[arg-type]


def _options(random: Random) -> ShardOptions:
    return ShardOptions(
        slice_inputs_max=random.choice((1, 3, 2_000)),
        read_records=random.choice((2, 10, 500)),
        live_actors_max=random.choice((1, 3, 20_000)),
        tail_events_max=random.choice((5, 30, 50_000)),
        checkpoints_per_commit=random.choice((1, 3, 200)),
        idle_ms=random.choice((50, 300, 1_000)),
        answers_segment=random.choice((3, 10, 2_000)),
        effects_max=random.choice((1, 64)),
        effect_attempts=3,
        effect_backoff_ms=20,
    )
