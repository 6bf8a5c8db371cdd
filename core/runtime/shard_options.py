"""What can be tuned about a shard, with the defaults that fit a laptop and a server alike."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ShardOptions:
    """Bounds of one shard; durations in milliseconds."""

    slice_ms_max: float = 25.0
    """CPU time of one slice; a critical message waits for at most one."""
    slice_inputs_max: int = 2_000
    read_records: int = 500
    live_actors_max: int = 20_000
    """Decoded states kept in memory; the others are encoded bytes."""
    tail_events_max: int = 50_000
    """Beyond so many events after the low-water mark, dirty actors ride in every commit."""
    checkpoints_per_commit: int = 200
    idle_ms: int = 1_000
    """An idle shard writes its dirty actors' checkpoints."""
    answers_max: int = 50_000
    answers_bytes_max: int = 64_000_000
    """Answers may be large; beyond either bound the oldest is forgotten."""
    answers_horizon_ms: int = 24 * 3_600_000
    answers_segment: int = 2_000
    blocked_lane_ms: int = 30_000
    """A lane that a stranger's transaction blocks for longer is reported and no longer waited for.

    Longer than a dead node can block one: its transaction's timeout, and one interval of the broker's sweep for those.
    """
    commit_bytes_max: int = 8_000_000
    """About where a commit ends: one that cannot be written within the transaction's timeout would be tried for ever."""
    effects_max: int = 64
    """Effects of one shard that run at the same time."""
    effect_attempts: int = 5
    effect_backoff_ms: int = 200
    value_bytes_max: int = 900_000
    """Larger values are refused before anything is produced, so that a dead letter of one still fits."""
    careful_after_opens: int = 3
    outbox_kept_ms: int = 24 * 3_600_000
