"""What every log must do: a suite to run on a backend, ours or your own.

Subclass `LogConformance`, give it `connect`, and let pytest collect it:

    class TestMyLog(LogConformance):
        async def connect(self, place: Path, node: str) -> Log: ...

Each test gets a log of its own at `place` and opens one or more handles on it. Backends differ where `Capabilities` says
so and nowhere else; a test asks it and never the class. Users of a log may rely on what is asserted here, and on no more.
"""

from .harness import LogHarness
from .members import MembersConformance
from .records import RecordsConformance
from .retention import RetentionConformance
from .writers import WritersConformance


class LogConformance(RecordsConformance, WritersConformance, RetentionConformance, MembersConformance):
    """All of it."""


__all__ = ["LogConformance", "LogHarness"]
