"""What every peer does with a command, and how it is run: read the record, fold a counter, write an event and an answer.

The records have the fields of HMS's envelope and about its 185 bytes, in Confluent's frame, but flat and without
nullable fields and logical types: the form that Avro libraries are fastest with.
"""

import json
import os
import sys
import threading
import time
from io import BytesIO
from typing import Any, NamedTuple

from fastavro import parse_schema, schemaless_reader, schemaless_writer

TEXTS = ("id", "source", "destination", "type", "correlation_id", "causation_id", "reply_to", "priority", "version")
FRAME_BYTES = 5


def schema(name: str, number: str) -> dict[str, Any]:
    fields = [{"name": one, "type": "long"} for one in (number, "at", "ttl_ms")]
    return {"type": "record", "name": name, "fields": fields + [{"name": one, "type": "string"} for one in TEXTS]}


COMMAND, EVENT, REPLY = schema("Add", "amount"), schema("Added", "amount"), schema("Count", "count")
COMMAND_FRAME, EVENT_FRAME, REPLY_FRAME = (b"\x00" + number.to_bytes(4, "big") for number in (1, 2, 3))
_COMMAND, _EVENT, _REPLY = parse_schema(COMMAND), parse_schema(EVENT), parse_schema(REPLY)


def _framed(frame: bytes, parsed: Any, record: dict[str, Any]) -> bytes:
    out = BytesIO()
    out.write(frame)
    schemaless_writer(out, parsed, record)
    return out.getvalue()


def command(actor: str, id_: str, at_us: int) -> bytes:
    """One command, as it is in the topic."""
    record = {"amount": 1, "at": at_us, "ttl_ms": 0, "id": id_, "source": "client/bench", "destination": actor}
    rest = {"correlation_id": id_, "causation_id": "", "reply_to": f"client/bench/{id_}", "priority": "normal"}
    return _framed(COMMAND_FRAME, _COMMAND, record | rest | {"type": "bench.Add", "version": "1.0"})


class Handled(NamedTuple):
    """The new state of the counter, and what is written."""

    times: int
    total: int
    event: bytes
    reply_to: bytes
    reply: bytes


def handle(value: bytes, count: int, total: int) -> Handled:
    """Decode, fold, encode twice."""
    stream = BytesIO(value)
    stream.seek(FRAME_BYTES)
    told: Any = schemaless_reader(stream, _COMMAND, None)
    count, total, actor, id_ = count + 1, total + told["amount"], told["destination"], told["id"]
    said = {**told, "source": actor, "causation_id": id_, "at": time.time_ns() // 1_000}
    event = {**said, "type": "bench.Added", "id": f"{id_}-e", "reply_to": ""}
    reply = {**said, "type": "bench.Count", "id": f"{id_}-r", "destination": told["reply_to"], "count": count}
    to = told["reply_to"].encode()
    return Handled(count, total, _framed(EVENT_FRAME, _EVENT, event), to, _framed(REPLY_FRAME, _REPLY, reply))


class Task(NamedTuple):
    """What the bench gives a peer: topics are `PREFIX.commands|events|replies`; the folder is for its state."""

    bootstrap: str
    prefix: str
    folder: str
    interval_s: float

    @classmethod
    def given(cls) -> "Task":
        return cls(**json.loads(sys.argv[1]))


def begins() -> None:
    """Say when the work begins (on the clock of all processes); end when the bench closes stdin, whatever runs."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
    print(json.dumps({"started": time.monotonic()}), flush=True)
