"""The embedded log passes the conformance suite."""

from pathlib import Path

from hms.core.log import Log
from hms.core.log.sqlite import SqliteLog
from hms.core.log.sqlite.times import Times
from hms.core.testing.log_conformance import LogConformance

TIMES = Times(heartbeat_ms=50, lease_ms=5_000)
"""A lease that no slow disk outlasts: one test waits for its end."""


class TestSqliteLog(LogConformance):
    async def connect(self, place: Path, node: str) -> Log:
        del node
        return await SqliteLog.open(place / "log.db", times=TIMES)

    async def silence(self, log: Log) -> None:
        assert isinstance(log, SqliteLog)
        log._worker.every(1_000, None)
