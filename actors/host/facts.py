"""What a host says happened, once each, in the past tense.

`(session, sequence)` orders the facts of a host: the session counts its agents' starts, the sequence the facts of one.
What can happen only once to an attempt has one id for ever, however often and by whichever agent it is told.
"""

import hashlib
import uuid
from typing import ClassVar, Literal

from ...schemas.record import Record

Seen = Literal["live", "adoption", "reboot"]


class Fact(Record):
    """Something that happened to `attempt` of an incarnation (0: as commanded; more: restarted by the host itself)."""

    once: ClassVar[bool] = False

    host: str
    component: str
    incarnation: int
    attempt: int
    session: int
    sequence: int
    at: int
    """Micros UTC by the host's clock; a claim."""

    @property
    def id(self) -> str:
        """The id to send it under: 128 bits of SHA-256 over what it is about, as UUIDv8."""
        place: tuple[object, ...] = () if self.once else (self.session, self.sequence)
        parts = (self.host, self.component, self.incarnation, self.attempt, type(self).__name__, *place)
        encoded = b"".join(len(part).to_bytes(4) + part for part in (str(part).encode() for part in parts))
        bits = int.from_bytes(hashlib.sha256(encoded).digest()[:16])
        bits = bits & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62
        return str(uuid.UUID(int=bits))


class Started(Fact):
    """The command runs; with the host's boot id, pid and start ticks (since boot) are the process's identity."""

    once = True
    boot_id: str
    pid: int
    start_ticks: int


class StartFailed(Fact):
    """The command could not be executed; `restarting` as in `Exited`."""

    once = True
    reason: str
    restarting: bool = False


class Exited(Fact):
    """It is over, and nothing of its process tree is left (but `left`: processes that may not be killed).

    Either `code`, or `signal` (its name without SIG), or `unknown`: nobody saw how (the shim was killed, the machine
    went down). `expected`: it was told to stop. `restarting`: the host restarts it by itself, within its budget;
    record it, count it, do not act. `fenced`: its shim stopped it, its lease was over. `seen`: by an agent that watched;
    found when one started; or lost with a boot.
    `why` says in words what code and signal do not: that it had to be killed, or why nobody saw how it ended.
    """

    once = True
    code: int | None
    signal: str | None
    unknown: bool
    oom: bool
    expected: bool
    restarting: bool
    seen: Seen
    fenced: bool = False
    why: str = ""
    ran_ms: int
    cpu_ms: int
    rss_bytes_max: int
    last_output: tuple[str, ...]
    left: tuple[str, ...]


class BecameReady(Fact):
    """Dependants may start: the readiness probe passes, or there is none and the component has started."""


class BecameUnready(Fact):
    """The readiness probe fails since."""

    reason: str


class LivenessFailed(Fact):
    """The liveness probe failed as often as its threshold; told again only after it has passed in between."""

    reason: str


class StartupFailed(Fact):
    """The startup probe never passed in time; no probe asks any more."""

    once = True
    reason: str


class LimitExceeded(Fact):
    """Three samples running were beyond a limit: `what` is rss_mb, cpu_percent or open_files, in that unit."""

    what: str
    value: float
    limit: float


def terminal(fact: Fact) -> bool:
    """Whether nothing more can happen to the fact's attempt."""
    return isinstance(fact, Exited | StartFailed)
