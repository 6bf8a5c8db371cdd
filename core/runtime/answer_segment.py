"""A sealed segment of remembered answers as bytes, and back.

Segments are written by hand and read as plain dicts, as commit records are: with a model an answer, every command from
outside costs twice that, once when it is sealed and once when it is restored.
"""

from collections.abc import Sequence
from io import BytesIO
from operator import itemgetter
from typing import Any, Final, cast

from fastavro import parse_schema, schemaless_reader

from ...schemas import FRAME_BYTES, Contract, avro_schema
from .dedup import Remembered
from .input_record import encode_answer, encode_array
from .records import Answers

_BODY: Final[Any] = parse_schema(avro_schema(Answers, str(Answers.explicit_type)))
_fields = itemgetter(*Remembered._fields)


def encode_segment(answers: Sequence[Remembered]) -> bytes:
    """Return the body of an `Answers` record."""
    return encode_array([encode_answer(given) for given in answers])


def decode_segment(contract: Contract, value: bytes) -> list[Remembered]:
    """Return what a segment's value holds, also one that another version wrote. Raises `MalformedRecord`."""
    if value[:FRAME_BYTES] != contract.of(Answers).frame:
        segment = cast("Answers", contract.decode_body(value))
        return [Remembered(*_fields(answer.model_dump())) for answer in segment.answers]
    stream = BytesIO(value)
    stream.seek(FRAME_BYTES)
    answers: Any = schemaless_reader(stream, _BODY, None)
    return [Remembered(*_fields(answer)) for answer in answers["answers"]]
