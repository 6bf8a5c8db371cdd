"""What an error code in a broker's answer to a producer means, and how long to wait before asking again.

By code, because aiokafka has no name for some, and calls some final that a writer meets every day.
"""

import asyncio
from enum import Enum, auto
from typing import Final

from aiokafka import errors

from ...errors import WriterFenced
from .failures import failure

BACKOFF_FIRST_S: Final = 0.001
"""The markers of the previous transaction are usually written within a millisecond or two."""
BACKOFF_MAX_S: Final = 0.1
NOT_ENOUGH_REPLICAS: Final = 19
UNKNOWN: Final = -1
"""A broker that stumbled, and may have done what it was asked: seen where a transaction is ended while another one opens its id.
Asked again, it says what is.
"""
_FENCED: Final = {
    47: "another owner has opened it",
    90: "another owner has opened it",
    48: "its transaction was aborted on the broker's side",
    49: "its transactional id has expired on the broker",
}
_AGAIN: Final = {UNKNOWN, 2, 7, 14, NOT_ENOUGH_REPLICAS, 20, 51, 89}
"""Markers or replicas not there yet, a broker that starts or throttles, a batch damaged on its way."""
_MOVED: Final = {3, 5, 6, 9, 15, 16, 56, 74, 75, 76}
"""Leader or coordinator elsewhere, or not yet known to this broker."""


class Meaning(Enum):
    """What to do."""

    DONE = auto()
    AGAIN = auto()
    """Ask the same broker again, soon."""
    MOVED = auto()
    """Look for the right broker, then ask it."""


def meaning(code: int, what: str) -> Meaning:
    """Return it; raises `WriterFenced`, or for what does not pass by itself the port's error. `what` names the writer."""
    if code == 0:
        return Meaning.DONE
    if code in _AGAIN:
        return Meaning.AGAIN
    if code in _MOVED:
        return Meaning.MOVED
    if code in _FENCED:
        raise WriterFenced(f"{what}: {_FENCED[code]}")
    raise failure(errors.for_code(code)(), what)


class Attempts:
    """The pauses between attempts, and what the last one failed by: for the message at the deadline."""

    def __init__(self) -> None:
        self._delay_s = BACKOFF_FIRST_S
        self.failed_by = "no answer yet"

    async def pause(self, failed_by: str) -> None:
        """Wait a little longer each time."""
        self.failed_by = failed_by
        await asyncio.sleep(self._delay_s)
        self._delay_s = min(2 * self._delay_s, BACKOFF_MAX_S)


def name(code: int) -> str:
    """Return what to call an error code in a message."""
    known = errors.for_code(code).__name__
    if code == NOT_ENOUGH_REPLICAS:
        return f"{known}: fewer replicas in sync than min.insync.replicas, or brokers that cannot reach each other"
    return f"error {code}" if known == "UnknownError" else known
