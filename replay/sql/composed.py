"""The views that are made of others: everything that was sent, everything that happened, and the stories told by them."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

ENVELOPE: Final = (
    *("id", "source", "destination", "sent_at", "correlation_id", "causation_id", "reply_to", "priority", "ttl_ms"),
    "version",
)


class Composed(NamedTuple):
    """A view over views of record types; `of` are these, in order, each named in the text by itself."""

    what: str
    of: tuple[str, ...]
    sql: str


TASK_STEPS: Final = {
    "task_submitted": ("pending", "NULL::VARCHAR", "NULL::BIGINT", "run_of", "submitted_by"),
    "task_ready": ("ready", "NULL::VARCHAR", "NULL::BIGINT", "NULL::VARCHAR", "NULL::VARCHAR"),
    "task_assigned": ("assigned", "supervisor_id", "attempt", "NULL::VARCHAR", "NULL::VARCHAR"),
    "task_accepted": ("running", "supervisor_id", "attempt", "NULL::VARCHAR", "NULL::VARCHAR"),
    "task_released": ("pending", "supervisor_id", "NULL::BIGINT", "reason", "NULL::VARCHAR"),
    "task_completed": ("completed", "supervisor_id", "NULL::BIGINT", "NULL::VARCHAR", "NULL::VARCHAR"),
    "task_failed": ("failed", "NULL::VARCHAR", "NULL::BIGINT", "error_code || ': ' || error", "NULL::VARCHAR"),
    "task_cancelled": ("cancelled", "NULL::VARCHAR", "NULL::BIGINT", "reason", '"by"'),
    "task_timed_out": ("timed_out", "NULL::VARCHAR", "NULL::BIGINT", "NULL::VARCHAR", "NULL::VARCHAR"),
}
"""Of each event of a task: the status that it leads to, and where supervisor, attempt, reason and who are."""


def _task_transitions() -> str:
    steps = (
        f"SELECT task_id, envelope.sent_at AS changed_at, '{status}' AS status, {supervisor} AS supervisor_id, "  # noqa: S608
        f"{attempt} AS attempt, {reason} AS reason, {who} AS who, shard, position, envelope.id AS event_id FROM {view}"
        for view, (status, supervisor, attempt, reason, who) in TASK_STEPS.items()
    )
    columns = "supervisor_id, attempt, reason, who, shard, position, event_id"
    before = "lag(status) OVER story AS from_status, status, changed_at - lag(changed_at) OVER story AS after"
    story = "WINDOW story AS (PARTITION BY task_id ORDER BY changed_at, shard, position)"
    return f"SELECT task_id, changed_at, {before}, {columns} FROM ({' UNION ALL '.join(steps)}) {story}"  # noqa: S608


_HEARTBEAT: Final = (
    "SELECT substring(record_key, 11) AS component, '{metric}' AS metric, envelope.sent_at AS sampled_at, "
    "{metric}::DOUBLE AS value, incarnation, shard, position, topic, appended_at FROM component_heartbeat"
)
_FIGURES: Final = (
    "SELECT supervisor_id AS component, unnest(map_keys(metrics)) AS metric, envelope.sent_at AS sampled_at, "
    "unnest(map_values(metrics))::DOUBLE AS value, NULL::BIGINT AS incarnation, shard, position, topic, appended_at "
    "FROM supervisor_heard"
)
_IMPORTED: Final = (
    'SELECT component, metric, one."at" AS sampled_at, one.value AS value, NULL::BIGINT AS incarnation, shard, position, '
    "topic, appended_at FROM (SELECT *, unnest(samples) AS one FROM samples_imported)"
)

_SEEN: Final = (
    "SELECT opened.incident_id, opened.component_id, opened.group_id, opened.incarnation, opened.status, opened.message, "
    "opened.at_ AS opened_at, closed.envelope.sent_at AS closed_at, coalesce(closed.result, 'open') AS result, "
    "closed.duration_ms, opened.envelope.correlation_id AS correlation_id, opened.shard, opened.position FROM "
    "incident_opened AS opened LEFT JOIN incident_closed AS closed USING (incident_id)"
)
"""Illnesses that the runtime supervisor saw."""
_MET: Final = (
    "SELECT began.recovery_id AS incident_id, began.component_id, began.group_id, began.incarnation, 'exited' AS status, "
    "began.cause AS message, began.envelope.sent_at AS opened_at, ended.envelope.sent_at AS closed_at, "
    "coalesce(ended.outcome, 'open') AS result, ended.duration_ms, began.envelope.correlation_id AS correlation_id, "
    "began.shard, began.position FROM group_recovery_seen AS began LEFT JOIN group_recovery_seen AS ended ON "
    "ended.recovery_id = began.recovery_id AND ended.component_id = began.component_id AND ended.stage = 'completed' "
    "WHERE began.stage = 'initiated'"
)
"""Exits that a group met by itself; those within an illness are part of that one."""
_WITHIN: Final = (
    "SELECT 1 FROM seen WHERE seen.component_id = met.component_id AND seen.opened_at <= met.opened_at AND "
    "coalesce(seen.closed_at >= met.opened_at, true)"
)

COMPOSED: Final[dict[str, Composed]] = {
    "task_transitions": Composed(
        "A row whenever a task's status changed, with the status before", tuple(TASK_STEPS), _task_transitions()
    ),
    "incidents": Composed(
        "A row per incident: what was seen, how it ended, how long it took",
        ("incident_opened", "incident_closed", "group_recovery_seen"),
        f"WITH seen AS ({_SEEN}) SELECT * FROM seen UNION ALL SELECT * FROM ({_MET}) AS met WHERE NOT EXISTS ({_WITHIN})",  # noqa: S608
    ),
    "metric_samples": Composed(
        "A row per figure of a component or supervisor, imported ones too: metric, time, value",
        ("component_heartbeat", "supervisor_heard", "samples_imported"),
        " UNION ALL ".join(
            [*(_HEARTBEAT.format(metric=name) for name in ("cpu_percent", "rss_mb")), _FIGURES, _IMPORTED]
        ),
    ),
    "restarts": Composed(
        "A row whenever a component was started again to heal it, by its group or by its host",
        ("component_start_requested", "component_started"),
        "SELECT substring(record_key, 11) AS component, at_ AS restarted_at, incarnation, 0::BIGINT AS attempt, reason, "
        "'group' AS who, shard, position FROM component_start_requested WHERE healing UNION ALL "
        "SELECT substring(record_key, 11), at_, incarnation, attempt, 'restarted by its host', 'host', shard, position "
        "FROM component_started WHERE attempt > 0",
    ),
}


def everything(what: str, branches: Sequence[str]) -> str:
    """Return the text of `events` or `messages`: all records of some topics, one form for all types."""
    return f"CREATE OR REPLACE VIEW {what} AS {' UNION ALL '.join(branches)}"


def branch(source: str, type_name: str, fields: Mapping[str, str]) -> str:
    """Return one type's part of `everything`; its own fields (by their columns) are one JSON object in `data`."""
    struct = ", ".join(f'"{field}": "{name}"' for field, name in fields.items())
    data = f"to_json({{{struct}}})" if fields else "'{}'::JSON"
    envelope = ", ".join(f"envelope.{name} AS {name}" for name in ENVELOPE)
    columns = f"appended_at, '{type_name}' AS type, record_key, {envelope}, {data} AS data, topic, shard, position"
    return f"SELECT {columns} FROM {source}"  # noqa: S608 - of our own names
