"""Between a component's actor and the host's agent: the command, and the facts that come back.

Commands state a level: this incarnation, up or down. Reports go to `component/ID` on lane `high` without ttl; ids are
derived from (host, component, incarnation, attempt, fact). `(session, sequence)` orders what a host says: the session
counts its agent's starts, the sequence the facts of one. `attempt` is 0 as commanded, more when the host restarted the
incarnation by itself.
"""

from typing import Final

from .fleet import ComponentSpec
from .record import Message

STOPPED_HERE: Final = "stopped"
"""`seen` of an exit that the host itself brought about: expected and uncounted, with a command or without."""


class ComponentCommand(Message):
    """To `agent/HOST`: let this incarnation be up, or down (`kill`: without grace).

    Newer is: a higher incarnation; within one, down over up (final); else a higher `revision`, to re-configure only.
    Each one is answered with the incarnation's last fact, an old or repeated one too. `budget_count` restarts within
    `budget_window_ms` are granted while the log is away. `spec` is None only for a down of what was never configured.
    `leased`: start it, and let it run, only under a lease (`RenewLease`). `hold_ms`: start it this much later.
    """

    component: str
    incarnation: int
    revision: int
    desired: str
    spec_hash: str
    spec: ComponentSpec | None
    kill: bool = False
    budget_count: int = 0
    budget_window_ms: int = 60_000
    reason: str = ""
    leased: bool = False
    hold_ms: int = 0


class RunHook(Message):
    """To `agent/HOST`: run `command` once (by `hook_id`) because `component` was given up; never supervised."""

    component: str
    hook_id: str
    command: tuple[str, ...]
    environment: dict[str, str]
    working_folder: str
    reason: str


class ReportStarted(Message):
    """The incarnation's process runs: newly started, or found by adoption."""

    host: str
    incarnation: int
    attempt: int = 0
    session: int
    sequence: int
    boot_id: str
    pid: int
    start_ticks: int


class ReportStartFailed(Message):
    """There is no process, and why; `restarting` as in `ReportExit`.

    `newest_incarnation` is set (and nothing was tried) when the agent has seen a newer incarnation than commanded.
    """

    host: str
    incarnation: int
    attempt: int = 0
    session: int
    sequence: int
    reason: str
    restarting: bool = False
    newest_incarnation: int = 0


class ReportExit(Message):
    """The incarnation and its whole process tree are gone (but `left`: processes that may not be killed).

    Either `code`, or `signal` (without SIG), or `unknown`. `restarting`: the host restarts it by itself within its
    budget: recorded and counted, not acted upon. `seen`: `live`; `adoption` or `reboot`, then it is not counted; `stopped`
    by the host, then it was expected, too. `why`: in words, what else is known of it.
    """

    host: str
    incarnation: int
    attempt: int = 0
    session: int
    sequence: int
    code: int | None = None
    signal: str | None = None
    unknown: bool = False
    oom: bool = False
    restarting: bool = False
    seen: str = "live"
    why: str = ""
    ran_ms: int = 0
    last_output: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


class ReportProbe(Message):
    """A probe (`startup`, `liveness`, `readiness`) crossed its threshold; only changes are reported.

    Readiness is reported for every component: one without probes is ready when it has started. `startup` is reported
    only when it failed for good, `liveness` when it fails (and may be when it passes again).
    """

    host: str
    incarnation: int
    attempt: int = 0
    session: int
    sequence: int
    probe: str
    passed: bool
    message: str = ""


class ReportLimit(Message):
    """A limit (`rss_mb`, `cpu_percent`, `open_files`) is exceeded, three samples running."""

    host: str
    incarnation: int
    attempt: int = 0
    session: int
    sequence: int
    limit: str
    value: float
    bound: float


class ComponentHeartbeat(Message):
    """Telemetry of a live incarnation, every 5 s from the agent or the SDK; changes nothing while all is well."""

    incarnation: int
    pid: int
    cpu_percent: float = 0.0
    rss_mb: float = 0.0
