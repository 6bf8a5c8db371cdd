"""How long an embedded log waits for what."""

from typing import Final, NamedTuple


class Times(NamedTuple):
    """In milliseconds."""

    deadline_ms: int = 10_000
    """A call waits so long for the locks of other processes, then raises `LogUnreachable`."""
    heartbeat_ms: int = 1_000
    lease_ms: int = 5_000
    """Others take over from a node whose last heartbeat is older."""


DEFAULT_TIMES: Final = Times()
