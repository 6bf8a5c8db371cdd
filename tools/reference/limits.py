"""Bounds and tunable values, from the constants that enforce them."""

import ast
import inspect
from dataclasses import fields
from itertools import pairwise

from hms.actors import hosts
from hms.actors.agent import agent, hooks
from hms.actors.component import fencing, settle
from hms.actors.component import state as component
from hms.actors.host.shim import record
from hms.actors.meta import registry
from hms.actors.meta import state as meta
from hms.actors.runtime import life
from hms.actors.runtime import state as runtime
from hms.actors.task import content
from hms.console.session import running
from hms.core.log import port
from hms.core.log.sqlite import layout
from hms.core.log.sqlite.times import Times
from hms.core.runtime import inbound, shard
from hms.core.runtime.shard_options import ShardOptions
from hms.schemas.task import DEFAULT_TIMEOUT_MS

from . import markdown

ENVIRONMENT = (
    ("`HMS_LOG`", "the log's URL, where `--log` is not given"),
    (
        "`XDG_STATE_HOME`",
        "the state folder is `$XDG_STATE_HOME/hms`, else `~/.local/state/hms`; a relative path is ignored",
    ),
    ("`HMS_TRACEBACK`", "when set, an error shows its traceback instead of one line"),
    ("`HMS_RUN`", "set by the agent in each component's environment: the folder of its run"),
    ("`HMS_COMPONENT`, `HMS_REASON`", "set for `on_give_up`: which component, and why"),
)


def page() -> str:
    """Return docs/reference/limits.md."""
    return markdown.page(
        "Settings and limits",
        "## Environment",
        markdown.table(("variable", "what"), ENVIRONMENT),
        "## Limits",
        "What is beyond a limit is refused with an error that names it, before anything is written.",
        markdown.table(("what", "limit"), _limits()),
        "## Supervision",
        markdown.table(("what", "value"), _supervision()),
        "## Settings of the runtime supervisor",
        f"Set by `SupervisorConfiguration` ({life.SETTING_MS[0]} to {life.SETTING_MS[1]} each).",
        markdown.table(("setting", "default, ms"), [(f"`{name}`", value) for name, value in runtime.DEFAULTS.items()]),
        "## A shard",
        "`Node(options=ShardOptions(...))` in Python; the commands use the defaults. Durations in milliseconds.",
        markdown.table(("option", "default", "what"), _options()),
    )


def _limits() -> list[tuple[str, str]]:
    return [
        ("one record: key, value and headers", f"{port.RECORD_BYTES_MAX:,} bytes"),
        ("a record's value", f"{ShardOptions.value_bytes_max:,} bytes"),
        ("each text of an envelope (ids, addresses, ...)", f"{inbound.TEXT_CHARS_MAX:,} characters"),
        ("an actor's key", "500 bytes"),
        (
            "partitions of a log",
            f"{port.DEFAULT_PARTITIONS}; another number, up to {layout.PARTITIONS_MAX:,}, by `hms log init --partitions`",
        ),
        ("records of one partition, ever", f"2^{layout.OFFSET_BITS}"),
        ("tasks that wait or run", f"{meta.ACTIVE_MAX:,}; beyond it `queue_full`"),
        ("parameters of a task", f"{content.PARAMETERS_MAX:,} bytes; of all active ones {meta.PARAMETERS_TOTAL_MAX:,}"),
        ("dependencies of a task", f"{content.DEPENDENCIES_MAX}"),
        ("ended tasks in `hms task list`", f"{meta.FINISHED_MAX}; `hms task get` and the log know all"),
        ("registered supervisors", f"{registry.SUPERVISORS_MAX}"),
        ("tasks of the runtime supervisor at a time", f"{runtime.MAX_TASKS}"),
        ("last exits in `hms component describe`", f"{component.EXITS_KEPT}; the log knows all"),
        ("last lines of output in an exit", f"{record.LINES_KEPT} of {record.LINE_LENGTH} characters"),
    ]


def _supervision() -> list[tuple[str, str]]:
    return [
        (
            "a node's lease on the embedded log",
            f"{Times().lease_ms:,} ms without a heartbeat; none once its process is gone",
        ),
        (
            "an agent's inventory",
            f"every {agent.PERIOD_MS:,} ms; after {hosts.PERIODS_OF_SILENCE} missed its host is silent",
        ),
        (
            "the lease of a component that may fail over",
            (
                f"{hosts.PERIODS_OF_LEASE} inventories; started elsewhere after that and a 1/{fencing.MARGIN_SHARE} more, "
                f"at least {fencing.MARGIN_MS:,} ms more"
            ),
        ),
        ("an unanswered command to a component", f"again every {settle.RESEND_MS:,} ms"),
        ("a component that stays ill", f"reported again every {settle.ILLNESS_REPEAT_MS:,} ms"),
        ("a supervisor's silence", f"unavailable after {meta.SILENT_INTERVALS} intervals"),
        ("a task without `timeout`", f"{DEFAULT_TIMEOUT_MS:,} ms"),
        ("`on_give_up`", f"killed after {hooks.HOOK_S:g} s"),
        (
            "the log or the supervisors at the end of `hms up`",
            f"waited for {running.MOMENT_MS:,} ms, then it stops without them",
        ),
        (
            "a message or timer that kills its shard",
            f"buried after {shard.DEATHS_MAX} deaths, from opening {ShardOptions.careful_after_opens} on",
        ),
    ]


def _options() -> list[tuple[str, str, str]]:
    notes = _notes()
    return [(f"`{field.name}`", f"{field.default:,}", notes.get(field.name, "")) for field in fields(ShardOptions)]


def _notes() -> dict[str, str]:
    """Return the text below each field that has one."""
    body = ast.parse(inspect.getsource(ShardOptions)).body[0].body  # type: ignore[attr-defined]
    pairs = pairwise(body)
    return {
        field.target.id: str(note.value.value)
        for field, note in pairs
        if isinstance(field, ast.AnnAssign) and isinstance(note, ast.Expr) and isinstance(note.value, ast.Constant)
    }
