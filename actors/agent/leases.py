"""The agent's side of the leases under which components run that may fail over: from asking to what a shim is told."""

from collections import OrderedDict
from typing import Final

from ...schemas.host import RenewLease
from ..host.shim.lease import Lease, boot_seconds

ASKED_KEPT: Final = 64
STOP_SHARE: Final = 6
"""The last sixth of a lease, at most the component's own grace, is left for it to stop in its own way."""


class Leases:
    """Remembers when each inventory was made: a lease counts from then, however long the answer took."""

    def __init__(self) -> None:
        self._asked: OrderedDict[tuple[int, int], float] = OrderedDict()

    def ask(self, session: int, sequence: int) -> None:
        """Note that an inventory of this number is made now."""
        self._asked[session, sequence] = boot_seconds()
        while len(self._asked) > ASKED_KEPT:
            self._asked.popitem(last=False)

    def granted(self, renewal: RenewLease, grace_ms: int) -> Lease | None:
        """Return the lease that an answer gives to a component with that grace; None if it answers nobody here."""
        asked = self._asked.get((renewal.session, renewal.sequence))
        if asked is None:
            return None
        end = asked + renewal.lease_ms / 1_000
        return Lease(end - min(grace_ms, renewal.lease_ms // STOP_SHARE) / 1_000, end)
