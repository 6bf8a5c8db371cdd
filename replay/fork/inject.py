"""Messages of a what-if, from a file: a JSON object a line.

    {"to": "account/anna", "type": "bank.Deposit", "data": {"cents": 100}, "at": "2026-03-01T03:12:30Z"}

`at` or `after_ms` (from the cut) say when it comes; `source` (client/what-if), `id`, `priority` and `ttl_ms` may be given.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...core.errors import ValidationFailed
from ...core.log.port import Draft, Stored
from ...core.runtime.installed import Behaviours
from ...core.runtime.shard_options import ShardOptions
from ...core.runtime.wire import PROTOCOL_VERSION, message_draft
from ...schemas import Envelope, Message, Unencodable, derived_id

PROBLEMS_MAX: Final = 3


class _Line(BaseModel):
    """A line of the file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    to: str
    type: str
    data: dict[str, Any]
    at: datetime | None = None
    after_ms: Annotated[int, Field(ge=0)] = 0
    source: Annotated[str, Field(min_length=1)] = "client/what-if"
    id: Annotated[str, Field(min_length=1)] | None = None
    priority: str = "normal"
    ttl_ms: int | None = None


class Due(NamedTuple):
    """A message, and the instant at which it comes."""

    at_us: int
    draft: Draft

    @classmethod
    def of(cls, stored: Stored) -> "Due":
        """Return a recorded message as it came."""
        return cls(stored.at_us, Draft(stored.topic, stored.partition, *stored[4:]))


def injected(path: Path, behaviours: Behaviours, at_us: int, partitions: int) -> list[Due]:
    """Return a file's messages. Raises `ValidationFailed`, naming the line."""
    found: list[Due] = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if line.strip():
            try:
                found.append(_due(_Line.model_validate_json(line), behaviours, at_us, partitions, number))
            except (ValueError, TypeError, KeyError, Unencodable) as error:
                raise ValidationFailed(
                    f"{path}:{number}: expected an object with to, type and data of a message that the apps take, got "
                    f"{line[:200].decode(errors='replace')!r}: {_told(error)}"
                ) from error
    return found


def _told(error: Exception) -> str:
    match error:
        case ValidationError():
            problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:PROBLEMS_MAX]]
            return "; ".join(problems)
        case KeyError():
            return f"there is no {error}"
    return str(error)


def _due(line: _Line, behaviours: Behaviours, at_us: int, partitions: int, number: int) -> Due:
    if behaviours.of(line.to) is None:
        raise ValueError(f"no app here has an actor {line.to}; name yours by --app")
    record_type = behaviours.contract.named(line.type)
    if not issubclass(record_type.cls, Message):
        raise TypeError(f"{line.type} is no message")
    record = record_type.cls.model_validate(line.data)
    due_us = at_us + line.after_ms * 1_000 if line.at is None else _instant_us(line.at)
    if due_us < at_us:
        raise ValueError("it comes before the cut")
    id_ = line.id or derived_id("what-if", str(number), str(at_us))
    addresses = (line.source, line.to)
    envelope = Envelope(
        id_, *addresses, record_type.name, due_us, id_, None, None, line.priority, line.ttl_ms, PROTOCOL_VERSION
    )
    body = record_type.encode_body(record)
    return Due(due_us, message_draft(record_type, body, envelope, partitions, ShardOptions().value_bytes_max))


def _instant_us(at: datetime) -> int:
    return int((at.replace(tzinfo=at.tzinfo or UTC)).timestamp() * 1_000_000)
