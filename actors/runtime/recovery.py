"""How a recovery goes on after the order: the outcome, or silence; another try, or the end."""

from typing import Final

from ...core.decision import Decision
from ...schemas.recovery import RecoveryOutcome
from ...schemas.recovery_event import RecoveryCompleted, RecoveryHeld, RecoveryRetryPlanned
from ...schemas.supervisor_timer import RecoveryRetryDue, RecoveryUnanswered
from . import incidents, tasks
from .fold import RuntimeEvent
from .order import backoff_ms, initiate, timer_of
from .state import Recovery, RecoveryTask
from .turn import Turn

AGAIN: Final = "already recovering"
"""The reason of an ignored recovery that is worth another try: somebody else's is under way."""
KNOWN_REASONS: Final = (
    "paused",
    "desired down",
    "stale incarnation",
    "component not found",
    AGAIN,
    "halted",
)
MAY_PASS: Final = ("paused", AGAIN)
"""Held for now: the incident stays open, and the component's next notification is judged again."""


def outcome(turn: Turn, message: RecoveryOutcome) -> Decision[RuntimeEvent]:
    """Hear how a recovery ended; one that nobody waits for any more changes nothing."""
    recovery = turn.state.recovery(message.component, message.task_id)
    if recovery is None:
        return turn.decision()
    if message.outcome == "ignored":
        _ignored(turn, recovery, message)
    else:
        complete(turn, recovery, message.outcome, message.incarnation, message.reason)
    return turn.decision()


def _ignored(turn: Turn, recovery: Recovery, message: RecoveryOutcome) -> None:
    if recovery.waiting:
        return
    task = turn.state.tasks.get(recovery.task_id or "")
    if task is not None and message.reason.startswith(AGAIN) and recovery.attempt <= task.max_retries:
        _plan_retry(turn, recovery, task, message.reason)
        return
    held = RecoveryHeld(
        recovery_id=recovery.id,
        component_id=recovery.component_id,
        incarnation=message.incarnation,
        task_id=recovery.task_id,
        why=next((words for words in KNOWN_REASONS if message.reason.startswith(words)), "refused"),
        reason=message.reason,
    )
    turn.record(held)
    turn.set_timer(timer_of(recovery.component_id, recovery.task_id), None)
    if task is None:
        _settle_incident(turn, recovery, None if held.why in MAY_PASS else held.why)
    else:
        code = "destination_not_found" if held.why == "component not found" else "recovery_held"
        tasks.end(turn, task, code, message.reason)


def complete(turn: Turn, recovery: Recovery, result: str, incarnation: int, reason: str) -> None:
    """End a recovery, and with it its incident or its task."""
    completed = RecoveryCompleted(
        recovery_id=recovery.id,
        component_id=recovery.component_id,
        task_id=recovery.task_id,
        outcome=result,
        incarnation=incarnation,
        attempts=recovery.attempt,
        duration_ms=incidents.milliseconds(turn.context.now - recovery.at),
        reason=reason,
    )
    turn.record(completed)
    turn.set_timer(timer_of(recovery.component_id, recovery.task_id), None)
    task = turn.state.tasks.get(recovery.task_id or "")
    if task is not None:
        tasks.report_end(turn, task, completed)
    else:
        _settle_incident(turn, recovery, None if result == "unanswered" else result)


def _settle_incident(turn: Turn, recovery: Recovery, result: str | None) -> None:
    """Close the incident with this result (None: it stays open), or recover the newer incarnation that is ill by now."""
    incident = turn.state.incidents.get(recovery.component_id)
    if recovery.task_id is None and incident is not None and incident.incarnation > recovery.incarnation:
        because = f"{incident.status}: {incident.message}"
        initiate(turn, incident.component_id, incident.group_id, incident.incarnation, because)
    elif recovery.task_id is None and result is not None:
        incidents.close(turn, recovery.component_id, result)


def unanswered(turn: Turn, message: RecoveryUnanswered) -> Decision[RuntimeEvent]:
    """Try a task's recovery again; leave an incident to the component's next notification."""
    recovery = turn.state.recovery(message.component_id, message.task_id)
    if recovery is None or recovery.waiting:
        return turn.decision()
    reason = f"no outcome within {turn.state.setting('answer_timeout_ms')} ms"
    task = turn.state.tasks.get(recovery.task_id or "")
    if task is not None and recovery.attempt <= task.max_retries:
        _plan_retry(turn, recovery, task, reason)
    else:
        complete(turn, recovery, "unanswered", recovery.incarnation, reason)
    return turn.decision()


def _plan_retry(turn: Turn, recovery: Recovery, task: RecoveryTask, reason: str) -> None:
    after_ms = backoff_ms(task.backoff_strategy, recovery.attempt)
    planned = RecoveryRetryPlanned(
        component_id=recovery.component_id,
        task_id=recovery.task_id,
        attempt=recovery.attempt + 1,
        after_ms=after_ms,
        reason=reason,
    )
    turn.record(planned)
    again = RecoveryRetryDue(component_id=recovery.component_id, task_id=recovery.task_id)
    turn.set_timer(timer_of(recovery.component_id, recovery.task_id), again, after_ms)
    tasks.progress(turn, task, f"{reason}; try {planned.attempt} of {task.max_retries + 1} in {after_ms} ms")


def retry(turn: Turn, message: RecoveryRetryDue) -> Decision[RuntimeEvent]:
    """Ask again."""
    recovery = turn.state.recovery(message.component_id, message.task_id)
    if recovery is not None and recovery.waiting:
        initiate(
            turn, recovery.component_id, recovery.group_id, recovery.incarnation, recovery.because, recovery.task_id
        )
    return turn.decision()
