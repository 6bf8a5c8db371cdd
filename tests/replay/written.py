"""Records put into a log by hand, under schemas of any making, and questions to what comes of it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hms.core.log.port import EVENTS, SCHEMAS, Draft, Log
from hms.replay.history import History
from hms.replay.sql.limits import Limits
from hms.replay.sql.session import Session
from hms.schemas import Contract, Envelope, Record, encode_envelope, normalised, partition_of, schema_id
from hms.schemas.fingerprint import wire_schema
from hms.schemas.wire import frame_of

SMALL = Limits(memory_mb=256, timeout_ms=20_000, threads=1)
AT_US = 1_770_000_000_000_000


def envelope(type_name: str, number: int, *, source: str = "counter/a", **more: Any) -> Envelope:
    given = {"destination": source, "correlation_id": f"c{number}", "at_us": AT_US + number, **more}
    return Envelope(id=f"{type_name}-{number}", source=source, type=type_name, **given)


class Writer:
    """Writes events of registered classes, with their schemas."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.count = 0

    async def write(self, name: str, *records: Record, topic: str = EVENTS, **more: Any) -> None:
        for record in records:
            contract = Contract()
            kind = contract.register(type(record), name)
            self.count += 1
            stamp = envelope(name, self.count, **more)
            key = stamp.destination
            place = topic, partition_of(key, self.log.partitions)
            schema = Draft(SCHEMAS, 0, str(kind.schema_id).encode(), kind.schema_json.encode())
            await self.log.append([schema, Draft(*place, key.encode(), kind.encode(record, stamp))])

    async def write_foreign(self, schema: dict[str, Any], body: bytes, **more: Any) -> None:
        """Write an event of a schema that no class here has; `body` is Avro."""
        text = normalised(wire_schema(schema))
        self.count += 1
        stamp = envelope(schema["name"], self.count, **more)
        id_ = schema_id(text)
        value = frame_of(id_) + body + encode_envelope(stamp)
        place = EVENTS, partition_of(stamp.destination, self.log.partitions)
        schema_draft = Draft(SCHEMAS, 0, str(id_).encode(), text.encode())
        await self.log.append([schema_draft, Draft(*place, stamp.destination.encode(), value)])


async def rows(session: Session, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    answer = await session.ask(sql, parameters)
    return [row async for batch in answer.batches for row in batch.to_pylist()]


def session_on(log: Log) -> Session:
    return Session(History(log), limits=SMALL)


def instant(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1_000_000, UTC)


def loaded(text: str) -> Any:
    return json.loads(text)
