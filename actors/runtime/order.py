"""The order to recover: sent to whoever can pass it on, with a clock for the answer."""

from typing import Final

from ...schemas.recovery import RecoverComponent
from ...schemas.recovery_event import RecoveryInitiated
from ...schemas.supervisor_timer import RecoveryUnanswered
from ..well_known import component, group
from .turn import Turn

STEP_MS: Final = 1_000
LONGEST_MS: Final = 30_000


def initiate(
    turn: Turn, component_id: str, group_id: str, incarnation: int, because: str, task_id: str | None = None
) -> None:
    """Decide to recover, and ask for it: the group where it is known, else the component, which passes it on."""
    before = turn.state.recovery(component_id, task_id)
    initiated = RecoveryInitiated(
        recovery_id=turn.context.new_id(f"recovery {task_id}") if before is None else before.id,
        component_id=component_id,
        group_id=group_id,
        incarnation=incarnation,
        attempt=1 if before is None else before.attempt + 1,
        because=because,
        task_id=task_id,
        at=turn.context.now,
    )
    turn.record(initiated)
    order = RecoverComponent(component=component_id, incarnation=incarnation or None, reason=because, task_id=task_id)
    turn.tell(group(group_id) if group_id else component(component_id), order)
    unanswered = RecoveryUnanswered(component_id=component_id, task_id=task_id)
    turn.set_timer(timer_of(initiated.component_id, task_id), unanswered, turn.state.setting("answer_timeout_ms"))


def timer_of(component_id: str, task_id: str | None) -> str:
    """Return the name of a recovery's one timer: until the outcome, or until the next try."""
    return f"recovery:{component_id}" if task_id is None else f"recovery of task:{task_id}"


def backoff_ms(strategy: str, failed: int) -> int:
    """Return the wait after so many failed tries: 1, 2, 4, ... s (exponential), 1, 2, 3, ... s (linear), 1 s, or none."""
    waits = {"exponential": STEP_MS << min(failed - 1, 10), "linear": STEP_MS * failed, "constant": STEP_MS, "none": 0}
    return min(LONGEST_MS, waits.get(strategy, STEP_MS))


def stop_waiting(turn: Turn, task_id: str) -> None:
    """Stop the clock of a cancelled task's recovery."""
    turn.set_timer(timer_of("", task_id), None)
