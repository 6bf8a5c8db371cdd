"""The host layer: real processes of one fleet on one machine, without any knowledge of the log.

`Host.open(fleet, tell)` adopts what runs; `obey(HostCommand)` executes what is newer; facts come through `tell`,
`inventory()` says everything at once. Right on Linux; on macOS best effort: without subreaper and pidfd a descendant
that flees into a session of its own escapes a stop, and a port's stranger is not named without root.
"""

from .agent_lock import AgentLock, HostBusy
from .command import Desired, HostCommand, RestartBudget
from .facts import (
    BecameReady,
    BecameUnready,
    Exited,
    Fact,
    LimitExceeded,
    LivenessFailed,
    Seen,
    Started,
    StartFailed,
    StartupFailed,
    terminal,
)
from .host import Host
from .host_id import boot_id, host_id, start_ticks, state_folder
from .inventory import ComponentState, Inventory, Phase
from .reporter import Tell
from .sampling import Sample

__all__ = [
    "AgentLock",
    "BecameReady",
    "BecameUnready",
    "ComponentState",
    "Desired",
    "Exited",
    "Fact",
    "Host",
    "HostBusy",
    "HostCommand",
    "Inventory",
    "LimitExceeded",
    "LivenessFailed",
    "Phase",
    "RestartBudget",
    "Sample",
    "Seen",
    "StartFailed",
    "Started",
    "StartupFailed",
    "Tell",
    "boot_id",
    "host_id",
    "start_ticks",
    "state_folder",
    "terminal",
]
