"""The consumed inputs of a commit record, and the remembered answers of a segment, as bytes.

They are most of what a busy shard writes about itself, so they are written by hand: a third of what a schema walk over
dicts takes. The bytes are plain Avro for `Input` and `Answer`; a test holds them equal. Reading them is fastavro's.
"""

from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from typing import Any, Final, cast

from fastavro import parse_schema, schemaless_reader

from ...schemas import avro_schema, encode_bytes, encode_long, encode_text, word
from .dedup import Remembered
from .records import Input

_INPUT: Final[Any] = parse_schema(avro_schema(Input, "hms.Input"))
_instant = lru_cache(1024)(encode_long)  # what was appended together has one time
_UNREMEMBERED: Final = b"\0" * 6
"""No actor, timer, source and id; 1970; and no answer: one byte each."""


def encode_input(lane: int, offset: int, verdict: str) -> bytes:
    """Return an `Input` that nobody outside may send again."""
    return b"".join((encode_long(lane), encode_long(offset), word(verdict), _UNREMEMBERED))


def encode_timer(lane: int, generation: int, verdict: str, actor: str, timer: str) -> bytes:
    """Return the `Input` that a timer is."""
    parts = encode_long(lane), encode_long(generation), word(verdict), encode_text(actor), encode_text(timer)
    return b"".join((*parts, b"\0" * 4))


def encode_remembered(offset: int, given: Remembered) -> bytes:
    """Return the `Input` at an offset from outside."""
    source, id_, actor, lane, at_us, verdict, answer = given
    return b"".join(
        (
            encode_long(lane),
            encode_long(offset),
            word(verdict),
            encode_text(actor),
            b"\0",
            encode_text(source),
            encode_text(id_),
            _instant(at_us),
            encode_bytes(answer),
        )
    )


def encode_again(fields: dict[str, Any]) -> bytes:
    """Return the bytes of an `Input` from its fields."""
    if fields["source"]:
        given = Remembered(*(fields[name] for name in Remembered._fields))
        return encode_remembered(fields["offset"], given)
    if fields["timer"] or fields["actor"]:
        return encode_timer(fields["lane"], fields["offset"], fields["verdict"], fields["actor"], fields["timer"])
    return encode_input(fields["lane"], fields["offset"], fields["verdict"])


def decode_input(data: bytes) -> dict[str, Any]:
    """Return the fields of an `Input`'s bytes."""
    return cast("dict[str, Any]", schemaless_reader(BytesIO(data), _INPUT, None))


def encode_answer(given: Remembered) -> bytes:
    """Return the `Answer` of a segment that remembers an input."""
    source, id_, actor, lane, at_us, verdict, answer = given
    return b"".join(
        (
            encode_text(source),
            encode_text(id_),
            encode_text(actor),
            encode_long(lane),
            _instant(at_us),
            word(verdict),
            encode_bytes(answer),
        )
    )


def encode_array(items: Sequence[bytes]) -> bytes:
    """Return Avro's array of encoded items: one block, then the end."""
    return b"".join((encode_long(len(items)), *items, b"\0")) if items else b"\0"
