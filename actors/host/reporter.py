"""Numbers the facts of one agent and hands them on."""

import time
from collections.abc import Callable
from typing import Any

from .facts import Fact
from .runs import Run

Tell = Callable[[Fact], None]
"""Takes a fact at once, in the order of their sequence; keeps it until it is delivered. One with the id of another
that is not delivered yet replaces it."""


class Reporter:
    """One agent's voice."""

    def __init__(self, host: str, session: int, tell: Tell) -> None:
        """Begin at sequence 0: nothing told."""
        self.host = host
        self.session = session
        self.sequence = 0
        self._tell = tell

    def say(self, kind: type[Fact], component: str, run: Run, **fields: Any) -> None:
        """Tell a fact about a run, now."""
        self.count()
        self._tell(
            kind(
                host=self.host,
                component=component,
                incarnation=run.incarnation,
                attempt=run.attempt,
                session=self.session,
                sequence=self.sequence,
                at=time.time_ns() // 1000,
                **fields,
            )
        )

    def count(self) -> int:
        """Draw the next number."""
        self.sequence += 1
        return self.sequence
