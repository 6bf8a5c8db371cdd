"""What the meta supervisor answers: its state in the words of the contract."""

from ...schemas.administrative import SupervisorDescription, SupervisorList, SupervisorStatusResponse
from ...schemas.task import FinishedTask, TaskList, TaskStatus
from .state import ACTIVE_MAX, ActiveTask, MetaState, Supervisor

META_ID = "meta_supervisor"


def status_of(task: ActiveTask) -> TaskStatus:
    """Return an unfinished task as callers see it."""
    return TaskStatus(
        id=task.id,
        type=task.type,
        status="blocked" if task.waiting_for else task.status,
        priority=task.priority,
        assigned_to=task.assigned_to,
        attempt=task.attempt,
        parameters_json=task.parameters_json,
        dependencies=task.dependencies,
        timeout_ms=task.timeout_ms,
        schedule=task.schedule,
        progress=task.progress,
        message=task.message,
        submitted_at=task.submitted_at,
        submitted_by=task.submitted_by,
    )


def status_of_finished(task: FinishedTask) -> TaskStatus:
    """Return what is remembered of an ended task; `task/ID` knows the rest."""
    return TaskStatus(
        id=task.id,
        type=task.type,
        status=task.status,
        priority=task.priority,
        assigned_to=task.assigned_to,
        error=task.error,
        submitted_at=task.submitted_at,
        finished_at=task.finished_at,
    )


def task_list(state: MetaState) -> TaskList:
    """Return the queue and the short memory."""
    active = tuple(status_of(task) for task in state.tasks.values())
    return TaskList(active=active, finished=tuple(reversed(state.finished)))


def supervisor_list(state: MetaState) -> SupervisorList:
    """Return the registry, the meta supervisor first."""
    others = tuple(describe(state, entry) for entry in state.supervisors.values())
    return SupervisorList(supervisors=(describe_meta(state), *others))


def describe(state: MetaState, entry: Supervisor) -> SupervisorDescription:
    """Return one entry of the registry."""
    return SupervisorDescription(
        supervisor_id=entry.id,
        supervisor_type=entry.type,
        address=entry.address,
        status="available" if entry.available else "unavailable",
        reason=entry.status if entry.available else f"not heard for {entry.silence_ms} ms",
        capabilities=entry.capabilities,
        active_tasks=tuple(task.id for task in state.tasks_of(entry.id)),
        max_tasks=entry.max_tasks,
        version=entry.version,
        registered_at=entry.registered_at,
        heard_at=entry.heard_at,
        metrics=entry.metrics,
    )


def describe_meta(state: MetaState) -> SupervisorDescription:
    """Return the meta supervisor itself; that it answers is its being available."""
    return SupervisorDescription(
        supervisor_id=META_ID,
        supervisor_type="meta",
        address=f"{META_ID}/main",
        status="available",
        active_tasks=tuple(state.tasks),
        max_tasks=ACTIVE_MAX,
        version="1.0",
        metrics=metrics(state),
    )


def meta_status(state: MetaState) -> SupervisorStatusResponse:
    """Return the meta supervisor about itself."""
    return SupervisorStatusResponse(
        supervisor_id=META_ID,
        supervisor_type="meta",
        status="healthy",
        active_tasks=tuple(state.tasks),
        metrics=metrics(state),
    )


def metrics(state: MetaState) -> dict[str, float]:
    """Return the counters: submitted, assigned, ended by status; and the gauges."""
    ended = {f"tasks_{status}": float(count) for status, count in state.ended.items()}
    available = sum(entry.available for entry in state.supervisors.values())
    return {
        "tasks_submitted": float(state.submissions),
        "tasks_assigned": float(state.assignments),
        "tasks_active": float(len(state.tasks)),
        "supervisors_available": float(available),
        **ended,
    }
