"""What a component's actor knows: the wish, the counters, and the phase it is in."""

from datetime import datetime
from typing import Final, Literal, TypeAlias

from ...schemas import Record, State
from ...schemas.component import Desired, Exit
from ...schemas.fleet import ComponentSpec

EXITS_KEPT: Final = 5


class Stopped(Record):
    """Nothing runs, and nothing went wrong: never started, or stopped as asked."""

    kind: Literal["stopped"] = "stopped"


class Starting(Record):
    """The agent was told to start it and has not answered."""

    kind: Literal["starting"] = "starting"
    attempt: int = 0


class Running(Record):
    """Its process lives. `missed`: the newest inventory lacks it."""

    kind: Literal["running"] = "running"
    attempt: int
    pid: int
    start_ticks: int
    boot_id: str
    ready: bool
    missed: bool = False


class Stopping(Record):
    """The agent was told to stop it; its exit is expected. `requester` is told when it is down."""

    kind: Literal["stopping"] = "stopping"
    attempt: int = 0
    pid: int | None = None
    requester: str = ""
    kill: bool = False


class Exited(Record):
    """It ended without having been asked to, or could not be started: see the last exit."""

    kind: Literal["exited"] = "exited"


Phase: TypeAlias = Stopped | Starting | Running | Stopping | Exited


class ComponentState(State):
    """`spec` is None before it is configured and after it is removed; the counters live on.

    `home`: where it belongs; `host`: where its newest incarnation was commanded. `silent`: those of its hosts that are.
    `leased`: the incarnation runs under its host's lease, which `fencing` asks to withdraw. `fences` maps hosts that may
    still run an older one to the milliseconds that a start elsewhere has to wait; `hold_ms`: what this one waits.
    `revision` numbers the commands. `sick` says what is wrong with a process that lives; `ill` lasts from then until a
    process is ready, or not wanted. `unknown`: its host is silent. `halted`: the fleet's session is over. `(session,
    sequence)` is the newest word of the host that was believed.
    """

    spec: ComponentSpec | None = None
    spec_hash: str = ""
    group: str = ""
    home: str = ""
    host: str = ""
    silent: tuple[str, ...] = ()
    leased: bool = False
    fencing: bool = False
    fences: dict[str, int] = {}
    hold_ms: int = 0
    budget_count: int = 0
    budget_window_ms: int = 60_000
    desired: Desired = Desired()
    paused: bool = False
    given_up: str = ""
    halted: bool = False
    unknown: bool = False
    sick: str = ""
    ill: bool = False
    incarnation: int = 0
    revision: int = 0
    restart_count: int = 0
    since: datetime | None = None
    phase: Phase = Stopped()
    exits: tuple[Exit, ...] = ()
    watchers: tuple[str, ...] = ()
    session: int = 0
    sequence: int = 0

    @property
    def wished_up(self) -> bool:
        """Whether somebody wants it up."""
        return self.spec is not None and self.desired.state == "up"

    @property
    def placement(self) -> tuple[str, ...]:
        """Where it may be started, the best first."""
        if self.spec is None:
            return ()
        return tuple(dict.fromkeys((self.home, *(self.spec.candidates if self.spec.failover else ()))))

    @property
    def commanded_up(self) -> bool:
        """What the agent was told last."""
        return isinstance(self.phase, Starting | Running)

    @property
    def live(self) -> bool:
        """Whether there may be a process."""
        return isinstance(self.phase, Starting | Running | Stopping)

    @property
    def ended(self) -> bool:
        """Whether the end of a session keeps it down, whatever is wished."""
        return self.halted and not self.live

    @property
    def attempt(self) -> int:
        """How often the host restarted this incarnation by itself."""
        return self.phase.attempt if isinstance(self.phase, Starting | Running | Stopping) else 0

    @property
    def ready(self) -> bool:
        """Whether dependants may rely on it."""
        return isinstance(self.phase, Running) and self.phase.ready

    @property
    def last_exit(self) -> Exit | None:
        """How the current incarnation (or its last attempt) ended, if it did."""
        return self.exits[-1] if self.exits and self.exits[-1].incarnation == self.incarnation else None

    @property
    def completed(self) -> bool:
        """Whether it ended by itself, well, and is not of the kind that is started again."""
        last = self.last_exit
        again = self.spec is None or self.spec.restart == "permanent"
        return isinstance(self.phase, Exited) and not again and last is not None and last.normal

    def heard_before(self, session: int, sequence: int) -> bool:
        """Whether something newer (or this) was already believed."""
        return (session, sequence) <= (self.session, self.sequence)
