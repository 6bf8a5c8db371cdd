"""Messages of a what-if, from a file: a JSON object a line.

    {"to": "account/anna", "type": "bank.Deposit", "data": {"cents": 100}, "at": "2026-03-01T03:12:30Z"}

`at` or `after_ms` (from the cut) say when it comes; `source` (client/what-if), `id`, `priority` and `ttl_ms` may be given.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from ...core.errors import ValidationFailed
from ...core.log.port import Draft, Stored
from ...core.runtime.shard_options import ShardOptions
from ...core.runtime.wire import PROTOCOL_VERSION, message_draft
from ...schemas import Contract, Envelope, Unencodable, derived_id


class Due(NamedTuple):
    """A message, and the instant at which it comes."""

    at_us: int
    draft: Draft

    @classmethod
    def of(cls, stored: Stored) -> "Due":
        """Return a recorded message as it came."""
        return cls(stored.at_us, Draft(stored.topic, stored.partition, *stored[4:]))


def injected(path: Path, contract: Contract, at_us: int, partitions: int) -> list[Due]:
    """Return a file's messages. Raises `ValidationFailed`, naming the line."""
    found: list[Due] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            try:
                found.append(_due(json.loads(line), contract, at_us, partitions, number))
            except (ValueError, KeyError, TypeError, ValidationError, Unencodable) as error:
                raise ValidationFailed(
                    f"{path}:{number}: expected an object with to, type and data of a message that the apps take, got "
                    f"{line[:200]!r}: {error}"
                ) from error
    return found


def _due(item: Mapping[str, Any], contract: Contract, at_us: int, partitions: int, number: int) -> Due:
    record_type = contract.named(item["type"])
    record = record_type.cls.model_validate(item["data"])
    due_us = _instant_us(item["at"]) if "at" in item else at_us + int(item.get("after_ms", 0)) * 1_000
    id_ = item.get("id") or derived_id("what-if", str(number), str(at_us))
    envelope = Envelope(
        id_,
        item.get("source", "client/what-if"),
        item["to"],
        record_type.name,
        due_us,
        id_,
        None,
        None,
        item.get("priority", "normal"),
        item.get("ttl_ms"),
        PROTOCOL_VERSION,
    )
    body = record_type.encode_body(record)
    return Due(due_us, message_draft(record_type, body, envelope, partitions, ShardOptions().value_bytes_max))


def _instant_us(text: str) -> int:
    at = datetime.fromisoformat(text)
    return int((at.replace(tzinfo=at.tzinfo or UTC)).timestamp() * 1_000_000)
