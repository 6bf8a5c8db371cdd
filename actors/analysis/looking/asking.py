"""Queries for those who look: the sandbox of `hms sql`, answers as tables."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from ....replay.sql.limits import Limits
from ....replay.sql.session import Session

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LIMITS: Final = Limits(memory_mb=1_024, timeout_ms=60_000, threads=1)
"""What a query of a look may take."""


async def table(session: Session, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
    """Return the whole answer of a query; raises what `Session.ask` does."""
    answer = await session.ask(sql, parameters)
    return pa.Table.from_batches([batch async for batch in answer.batches], answer.schema)


def stamp(at: datetime) -> str:
    """Return an instant as the queries take it."""
    return at.astimezone(UTC).isoformat()


def micros(at: datetime) -> int:
    """Return an instant as micros since 1970."""
    return int(at.timestamp()) * 1_000_000 + at.microsecond


def instant(at_us: int) -> datetime:
    """Return micros since 1970 as an instant."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).replace(microsecond=at_us % 1_000_000)
