"""What a fleet is made of: the specification of components, groups and probes, as fleet files and commands carry it.

Every duration is in milliseconds, every default is the one that a fleet file gets, and every description is the one
that an editor shows (`hms.actors.fleet.file_schema`). Closed sets that may grow are plain strings on the wire (an old
reader must be able to read a new word); `Literal` keeps writers honest. What needs more than one field to judge
(cycles, unknown groups, two kinds of probe) is judged when a file is read, never here: old records stay readable.
"""

from typing import Annotated, Literal

from pydantic import Field

from .record import Record

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
Restart = Literal["permanent", "transient", "temporary"]
Condition = Literal["started", "ready", "completed"]
Milliseconds = Annotated[int, Field(ge=1, le=86_400_000)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
Words = Annotated[tuple[str, ...], Field(min_length=1)]
Amount = Annotated[int, Field(ge=1, le=1_000_000_000)]


class Probe(Record):
    """One question asked again and again; a file sets exactly one of tcp, http, command and process."""

    tcp: str | None = Field(None, description="HOST:PORT that must accept a connection.")
    http: str | None = Field(None, description="URL that must answer with a status from 200 to 399.")
    command: Words | None = Field(None, description="Program and arguments that must exit with 0.")
    process: bool = Field(default=False, description="The process exists, neither stopped nor a zombie.")
    initial_delay_ms: int = Field(0, ge=0, le=86_400_000, description="Wait after the start before the first probe.")
    period_ms: Milliseconds = Field(1_000, description="From one probe to the next.")
    timeout_ms: Milliseconds = Field(1_000, description="A probe without an answer after this long has failed.")
    success_threshold: int = Field(1, ge=1, le=1_000, description="Successes in a row that make it pass.")
    failure_threshold: int = Field(3, ge=1, le=10_000, description="Failures in a row that make it fail.")


class Probes(Record):
    """Kubernetes' three: startup holds the others back, liveness restarts, readiness lets dependants start."""

    startup: Probe | None = Field(None, description="Until it passes, the other probes wait; its failure restarts.")
    liveness: Probe | None = Field(None, description="Its failure restarts the component.")
    readiness: Probe | None = Field(None, description="Dependants that wait for `ready` start when it passes.")


class Limits(Record):
    """Beyond a limit the component is restarted; what is left out is unlimited."""

    rss_mb: Amount | None = Field(None, description="Resident memory of the component and its descendants, in MiB.")
    cpu_percent: Amount | None = Field(None, description="Processor time in percent of one core.")
    open_files: Amount | None = Field(None, description="Descriptors in use.")


class Stop(Record):
    """How to stop: the signal and CONT, then the grace, then KILL."""

    signal: str = Field("TERM", description="The signal that asks the component to stop.")
    grace_ms: Milliseconds = Field(5_000, description="After this long it is killed.")


class Backoff(Record):
    """Delay before restart n: first_ms * 2^n, at most max_ms, give or take jitter; anew after stable_ms of health."""

    first_ms: Milliseconds = Field(200, description="Delay before the first restart.")
    max_ms: Milliseconds = Field(10_000, description="The longest delay.")
    jitter: float = Field(0.2, ge=0, le=1, description="Share of the delay by which chance varies it.")
    stable_ms: Milliseconds = Field(10_000, description="Health for this long starts the delays anew.")


class Output(Record):
    """The component's stdout and stderr."""

    max_mb: int = Field(10, ge=1, le=10_000, description="Rotate at this size, in MiB.")
    keep: int = Field(3, ge=0, le=1_000, description="Old files to keep.")


class ComponentSpec(Record):
    """One process to keep alive."""

    id: Identifier = Field(description="Unique in the log.")
    group: str = Field("", description="One of `groups`; left out: a group of its own, one_for_one.")
    command: Words = Field(description="Program and arguments, as a list; no shell reads it.")
    working_folder: str = Field(".", description="Relative to the folder of the file.")
    environment: dict[str, str] = Field({}, description="Variables to set; numbers are taken as they are written.")
    user: str | None = Field(None, description="Name or number of the user to run as.")
    umask: str | None = Field(None, description="Octal, as 022.")
    open_files: Amount | None = Field(None, description="The process's limit of descriptors.")
    restart: Restart = Field(
        "permanent", description="permanent: always; transient: unless it exits with 0; temporary: never."
    )
    depends_on: dict[str, Condition] = Field(
        {}, description="What must be started, ready or completed before; a list means started."
    )
    host: str = Field("", description="One of `hosts`; left out: its group's, else (or empty) where `hms up` runs.")
    failover: bool = Field(
        default=False, description="Start it on a candidate when its host is silent and has surely stopped it."
    )
    candidates: tuple[str, ...] = Field((), description="Those of `hosts` that may take it over, the best first.")
    probes: Probes = Field(Probes(), description="Questions that tell its health.")
    limits: Limits = Field(Limits(), description="Beyond one of them it is restarted.")
    stop: Stop = Field(Stop(), description="How it is stopped.")
    backoff: Backoff = Field(Backoff(), description="How long to wait before a restart.")
    output: Output = Field(Output(), description="What to keep of its output.")
    on_give_up: tuple[str, ...] = Field((), description="Program and arguments to run when it is given up.")


class GroupSpec(Record):
    """Components that share a restart strategy and a restart budget (OTP's supervisor flags)."""

    id: Identifier = Field(description="Unique among the groups.")
    strategy: Strategy = Field(
        "one_for_one", description="Who is restarted with a crashed one: none, all, or those listed after it."
    )
    max_restarts: int = Field(5, ge=0, le=10_000, description="More restarts than this within max_seconds: given up.")
    max_seconds: int = Field(60, ge=1, le=86_400, description="The window in which restarts are counted.")
    host: str = Field("", description="The host of members that name none.")
    failover: bool = Field(default=False, description="Of members that do not say.")
    candidates: tuple[str, ...] = Field((), description="Of members that name none.")


class FleetSpec(Record):
    """A whole file, shorthands resolved: every component names a group that is in `groups`."""

    fleet: Identifier = Field(description="The name of the fleet; a log holds one.")
    hosts: tuple[Identifier, ...] = Field((), description="Names that agents take: `hms agent --host NAME`.")
    groups: tuple[GroupSpec, ...] = Field((), description="Components that are restarted together.")
    components: tuple[ComponentSpec, ...] = Field((), description="The processes; their order is that of rest_for_one.")
