"""The audit trail of a shard, `audit/shard-N`: it keeps signed checkpoints, which so become part of what the next ones sign."""

from ..core.behaviour import Behaviour, Context
from ..core.decision import Decision, accept
from ..schemas.audit import AuditTrail, CheckpointRecorded, RecordCheckpoint


def decide(state: AuditTrail, message: RecordCheckpoint, context: Context) -> Decision[CheckpointRecorded]:
    """Keep every checkpoint, a contradictory one above all: whether it holds is for who verifies to say."""
    del state, context
    return accept(CheckpointRecorded(**dict(message)))


def evolve(state: AuditTrail, event: CheckpointRecorded) -> AuditTrail:
    """Remember the largest."""
    is_newer = event.size >= state.size
    return AuditTrail(
        size=max(state.size, event.size), note=event.note if is_newer else state.note, count=state.count + 1
    )


audit = Behaviour("audit", initial=AuditTrail, decide=decide, evolve=evolve)
