"""Whether a component may be started now: what it has to wait for, and the lease that it has to run under."""

import asyncio
from collections.abc import Callable

from .command import HostCommand
from .shim.lease import Lease, boot_seconds


class Permit:
    """One component's; `changed` is called when what held a start up is over."""

    def __init__(self, changed: Callable[[], None]) -> None:
        """Hold nothing; no lease."""
        self.leaseless = False
        """Whether it is only for want of a lease that nothing is started."""
        self._changed = changed
        self._leases: dict[int, Lease] = {}
        self._held_until = 0.0

    def hold(self, command: HostCommand) -> None:
        """Begin to wait for as long as the command says, from now on."""
        self._held_until = boot_seconds() + command.hold_ms / 1_000

    def grant(self, incarnation: int, lease: Lease) -> None:
        """Take the newest lease; older ones, of whichever incarnation, are worth nothing any more."""
        self._leases = {incarnation: lease}
        if self.leaseless:
            self._changed()

    def lease(self, command: HostCommand) -> Lease | None:
        """Return the lease to start under; None for what needs none."""
        return self._leases.get(command.incarnation) if command.leased else None

    def to_start(self, command: HostCommand) -> bool:
        """Tell whether nobody else can be running it now, and it may run for a while; told again when that changes."""
        lease = self.lease(command)
        self.leaseless = command.leased and (lease is None or lease.over)
        left_s = self._held_until - boot_seconds()
        if left_s > 0:
            asyncio.get_running_loop().call_later(left_s, self._changed)
        return left_s <= 0 and not self.leaseless
