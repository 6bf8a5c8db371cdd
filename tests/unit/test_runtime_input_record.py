"""What is written by hand about inputs and answers is plain Avro, byte for byte what a schema walk writes."""

from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from hms.core.runtime import input_record
from hms.core.runtime.answer_segment import encode_segment
from hms.core.runtime.dedup import Remembered
from hms.core.runtime.records import TIMER_LANE, Answers, Commit, Input
from hms.schemas import avro_schema

INPUT: Any = parse_schema(avro_schema(Input, "hms.Input"))
ANSWERS: Any = parse_schema(avro_schema(Answers, "hms.Answers"))
INPUTS: Any = parse_schema({"type": "array", "items": avro_schema(Input, "hms.Input")})
texts = st.text(max_size=5) | st.text(min_size=120, max_size=140)
longs = st.integers(0, 300) | st.integers(-(2**63), 2**63 - 1)
verdicts = st.sampled_from(["decided", "refused"])
remembered = st.builds(
    Remembered, texts.filter(bool), texts, texts, st.integers(0, 3), longs, verdicts, st.binary(max_size=300)
)


def walked(schema: Any, datum: Any) -> bytes:
    out = BytesIO()
    schemaless_writer(out, schema, datum)
    return out.getvalue()


def fields(lane: int, offset: int, verdict: str, **others: Any) -> dict[str, Any]:
    empty = {"actor": "", "timer": "", "source": "", "id": "", "at_us": 0, "answer": b""}
    return {"lane": lane, "offset": offset, "verdict": verdict, **empty, **others}


@given(lane=st.integers(0, 3), offset=longs, verdict=verdicts)
def test_an_input_is_written_as_its_schema_says(lane: int, offset: int, verdict: str) -> None:
    expected = fields(lane, offset, verdict)
    assert input_record.encode_input(lane, offset, verdict) == walked(INPUT, expected)
    assert input_record.encode_again(expected) == walked(INPUT, expected)


@given(generation=longs, verdict=verdicts, actor=texts, timer=texts)
def test_a_timer_is_written_as_its_schema_says(generation: int, verdict: str, actor: str, timer: str) -> None:
    expected = fields(TIMER_LANE, generation, verdict, actor=actor, timer=timer)
    assert input_record.encode_timer(TIMER_LANE, generation, verdict, actor, timer) == walked(INPUT, expected)
    assert input_record.encode_again(expected) == walked(INPUT, expected)


@given(offset=longs, given_=remembered)
def test_an_input_from_outside_is_written_as_its_schema_says(offset: int, given_: Remembered) -> None:
    expected = fields(offset=offset, timer="", **given_._asdict())
    assert input_record.encode_remembered(offset, given_) == walked(INPUT, expected)
    assert input_record.encode_again(expected) == walked(INPUT, expected)


@given(st.lists(remembered, max_size=70))
def test_a_segment_is_written_as_its_schema_says(answers: list[Remembered]) -> None:
    assert encode_segment(answers) == walked(ANSWERS, {"answers": [answer._asdict() for answer in answers]})


@given(st.lists(remembered, max_size=70))
def test_the_inputs_of_a_commit_are_an_array_and_its_last_field(answers: list[Remembered]) -> None:
    data = input_record.encode_array([input_record.encode_remembered(7, answer) for answer in answers])
    read: Any = schemaless_reader(BytesIO(data), INPUTS, None)
    assert [Remembered(*(item[name] for name in Remembered._fields)) for item in read] == answers
    assert list(Commit.model_fields)[-1] == "inputs"
