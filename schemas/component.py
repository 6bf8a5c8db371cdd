"""What people ask of a component and what it answers. Addressed to `component/ID`.

Instants are UTC, durations milliseconds. Words that may grow (phases, health, who wished it) are plain strings.
"""

from datetime import datetime

from .fleet import ComponentSpec
from .record import Message, Record


class Desired(Record):
    """Whether a component shall run: `up` or `down`, wished by `file` or `operator`, by whom and why."""

    state: str = "up"
    by: str = "file"
    who: str = ""
    why: str = ""


class Exit(Record):
    """How one incarnation ended.

    `cause` is `exited`, `start_failed` (there never was a process), or `unknown` (no exit record: treated as abnormal).
    `expected` means that a stop had been asked for; `counted` is False for one found at adoption or after a reboot;
    `restarting` means that the host restarts it by itself, within the budget granted for times without a log.
    """

    incarnation: int
    attempt: int = 0
    at: datetime
    cause: str = "exited"
    code: int | None = None
    signal: str | None = None
    oom: bool = False
    ran_ms: int = 0
    last_lines: tuple[str, ...] = ()
    expected: bool = False
    counted: bool = True
    restarting: bool = False
    reason: str = ""

    @property
    def normal(self) -> bool:
        """OTP's normal exit: code 0, or the exit that a stop asked for."""
        return self.expected or (self.cause == "exited" and self.code == 0)


class ComponentStatus(Record):
    """A component as its actor knows it.

    `phase`: unconfigured, stopped, waiting, starting, running, stopping, exited, completed, given_up, unknown.
    `health`: healthy, degraded, unhealthy, critical, unknown, stopped. `since` is when the phase began.
    """

    id: str
    group: str
    desired: str
    health: str
    phase: str
    pid: int | None
    incarnation: int
    restart_count: int
    since: datetime | None
    desired_by: str
    desired_who: str
    desired_why: str
    paused: bool
    given_up: str
    host: str
    ready: bool
    message: str
    exits: tuple[Exit, ...]
    spec: ComponentSpec | None
    spec_hash: str


class StartComponent(Message[ComponentStatus]):
    """Wish it up (operator). Refused `not_found`, `given_up` (reset first)."""

    who: str = ""
    why: str = ""


class StopComponent(Message[ComponentStatus]):
    """Wish it down (operator); stays down, whatever its group does, until somebody starts it. Refused `not_found`."""

    who: str = ""
    why: str = ""


class RestartComponent(Message[ComponentStatus]):
    """Stop it and start it again, alone and uncounted; wishes it up. Refused `not_found`, `given_up`."""

    who: str = ""
    why: str = ""


class PauseComponent(Message[ComponentStatus]):
    """Hold healing: what dies stays dead until resume. Refused `not_found`."""

    who: str = ""
    why: str = ""


class ResumeComponent(Message[ComponentStatus]):
    """Heal again, what died meanwhile included. Refused `not_found`."""

    who: str = ""
    why: str = ""


class ResetComponent(Message[ComponentStatus]):
    """Clear `given_up` of the component's whole group and start what is wished up. Refused `not_found`."""

    who: str = ""
    why: str = ""


class DescribeComponent(Message[ComponentStatus]):
    """Ask for the status. Refused `not_found`."""
