"""What a fleet is made of: the specification of components, groups and probes, as fleet files and commands carry it.

Every duration is in milliseconds, every default is the one that a fleet file gets. Closed sets that may grow are plain
strings on the wire (an old reader must be able to read a new word); `Literal` keeps writers honest.
"""

from typing import Annotated, Literal

from pydantic import Field

from .record import Record

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
Restart = Literal["permanent", "transient", "temporary"]
Condition = Literal["started", "ready", "completed"]
Milliseconds = Annotated[int, Field(ge=1, le=86_400_000)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]


class Probe(Record):
    """One question asked again and again; exactly one of tcp, http, command is set, none of them means `process`."""

    tcp: str | None = None
    http: str | None = None
    command: tuple[str, ...] | None = None
    process: bool = False
    initial_delay_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 0
    period_ms: Milliseconds = 1_000
    timeout_ms: Milliseconds = 1_000
    success_threshold: Annotated[int, Field(ge=1, le=1_000)] = 1
    failure_threshold: Annotated[int, Field(ge=1, le=10_000)] = 3


class Probes(Record):
    """Kubernetes' three: startup holds the others back, liveness restarts, readiness lets dependants start."""

    startup: Probe | None = None
    liveness: Probe | None = None
    readiness: Probe | None = None


class Limits(Record):
    """Beyond a limit the component is restarted; None means unlimited."""

    rss_mb: Annotated[int, Field(ge=1)] | None = None
    cpu_percent: Annotated[int, Field(ge=1)] | None = None
    open_files: Annotated[int, Field(ge=1)] | None = None


class Stop(Record):
    """TERM (or another signal) and CONT, then the grace, then KILL."""

    signal: str = "TERM"
    grace_ms: Milliseconds = 5_000


class Backoff(Record):
    """Delay before restart n: first_ms * 2^n, at most max_ms, +- jitter; reset after stable_ms of health."""

    first_ms: Milliseconds = 200
    max_ms: Milliseconds = 10_000
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.2
    stable_ms: Milliseconds = 10_000


class Output(Record):
    """The component's stdout and stderr: rotated at max_mb, `keep` old files kept."""

    max_mb: Annotated[int, Field(ge=1, le=10_000)] = 10
    keep: Annotated[int, Field(ge=0, le=1_000)] = 3


class ComponentSpec(Record):
    """One process to keep alive."""

    id: Identifier
    group: str = ""
    command: Annotated[tuple[str, ...], Field(min_length=1)]
    working_folder: str = "."
    environment: dict[str, str] = {}
    user: str | None = None
    umask: str | None = None
    open_files: Annotated[int, Field(ge=1)] | None = None
    restart: Restart = "permanent"
    depends_on: dict[str, Condition] = {}
    probes: Probes = Probes()
    limits: Limits = Limits()
    stop: Stop = Stop()
    backoff: Backoff = Backoff()
    output: Output = Output()
    on_give_up: tuple[str, ...] = ()


class GroupSpec(Record):
    """Components that share a restart strategy and a restart budget (OTP's supervisor flags)."""

    id: Identifier
    strategy: Strategy = "one_for_one"
    max_restarts: Annotated[int, Field(ge=0, le=10_000)] = 5
    max_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60


class FleetSpec(Record):
    """A whole file: every component names a group that is in `groups`."""

    fleet: Identifier
    groups: tuple[GroupSpec, ...] = ()
    components: tuple[ComponentSpec, ...] = ()
