"""What a host is told: the newest wish for one component, whole, so that the last one suffices."""

import signal
from typing import Annotated, Literal

from pydantic import Field

from ...schemas.fleet import ComponentSpec, Identifier
from ...schemas.record import Record

Desired = Literal["up", "down"]


class RestartBudget(Record):
    """How often the host may restart by itself while the log is away: `count` times within `window_ms`."""

    count: Annotated[int, Field(ge=0)] = 0
    window_ms: Annotated[int, Field(ge=1)] = 60_000


class HostCommand(Record):
    """The state that a component shall have on this host.

    Of two commands the one with the greater `incarnation` is newer; of one incarnation, `down` is newer than `up`, down
    with `kill` (no grace) newer than without, and of two `up` the one with the greater `revision`: it changes probes,
    limits, stop and output of what runs. An incarnation is started at most once: another start needs another one.

    `leased`: it is started, and runs, only under a lease. `hold_ms`: from when this is heard, or this host's agent
    begins anew, so long nothing is started: another host may still run the incarnation before.
    """

    component: Identifier
    incarnation: Annotated[int, Field(ge=0)]
    desired: Desired
    spec: ComponentSpec
    spec_hash: str
    budget: RestartBudget = RestartBudget()
    revision: Annotated[int, Field(ge=0)] = 0
    kill: bool = False
    leased: bool = False
    hold_ms: Annotated[int, Field(ge=0)] = 0

    @property
    def rank(self) -> tuple[int, bool, int]:
        """What orders commands for one component."""
        down = self.desired == "down"
        return self.incarnation, down, int(self.kill) if down else self.revision


def stop_signal(spec: ComponentSpec) -> str:
    """Return the name of the signal that asks the component to stop, without SIG; TERM for one that does not exist."""
    name = spec.stop.signal.upper().removeprefix("SIG")
    return name if f"SIG{name}" in signal.Signals.__members__ else "TERM"
