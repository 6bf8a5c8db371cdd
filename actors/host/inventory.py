"""Everything a host knows now: sent on connecting and every few seconds, so that a lost fact costs seconds."""

from typing import Literal

from ...schemas.record import Record
from .command import Desired
from .facts import Seen

Phase = Literal["down", "starting", "running", "stopping", "exited", "start_failed", "restarting"]


class ComponentState(Record):
    """One component; `incarnation` is the newest commanded, `running_incarnation` that of the newest run.

    While they differ the host is on its way. Of the last run: how it ended as in the facts `Exited` and `StartFailed`
    (`started_at`, `ended_at` in micros UTC, 0 if not yet).
    """

    component: str
    incarnation: int
    desired: Desired
    spec_hash: str
    phase: Phase
    running_incarnation: int = -1
    attempt: int = 0
    boot_id: str = ""
    pid: int = 0
    start_ticks: int = 0
    started_at: int = 0
    ended_at: int = 0
    ready: bool = False
    alive: bool = True
    reason: str = ""
    code: int | None = None
    signal: str | None = None
    unknown: bool = False
    oom: bool = False
    why: str = ""
    expected: bool = False
    seen: Seen = "live"
    fenced: bool = False
    last_output: tuple[str, ...] = ()
    local_restarts: int = 0
    trouble: str = ""


class Inventory(Record):
    """A whole host, as of its fact number `sequence` in `session`; what is not listed here does not exist there."""

    host: str
    fleet: str
    boot_id: str
    session: int
    sequence: int
    at: int
    components: tuple[ComponentState, ...]
