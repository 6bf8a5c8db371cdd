"""Derived and drawn identifiers."""

from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from hms.schemas import derived_id, new_id, uuid7_time_us

NOW_US = 1_767_268_800_123_456
texts = st.lists(st.text())


def test_a_derived_id_is_what_it_always_was() -> None:
    """Histories hold these ids: a change of the function would let messages happen twice."""
    assert derived_id("account/anna", "cause", "event", "0") == "d60b2e9e-d7f1-8fad-9841-2db6862c3015"


@given(texts)
def test_a_derived_id_is_a_uuid_of_version_8(fields: list[str]) -> None:
    parsed = UUID(derived_id(*fields))
    assert (parsed.version, parsed.variant) == (8, RFC_4122)
    assert str(parsed) == derived_id(*fields)


@given(texts, texts)
def test_different_fields_give_different_ids(one: list[str], other: list[str]) -> None:
    assert (derived_id(*one) == derived_id(*other)) == (one == other)


def test_fields_do_not_run_into_each_other() -> None:
    assert len({derived_id("a", "bc"), derived_id("ab", "c"), derived_id("abc"), derived_id("abc", "")}) == 4


def test_a_field_of_more_than_255_bytes_counts_to_its_end() -> None:
    assert derived_id("x" * 300) != derived_id("x" * 299 + "y")


@given(st.integers(0, 2**48 * 1_000 - 1))
def test_a_new_id_is_a_uuid_of_version_7_that_tells_its_time(now_us: int) -> None:
    text = new_id(now_us)
    parsed = UUID(text)
    assert (parsed.version, parsed.variant) == (7, RFC_4122)
    assert uuid7_time_us(text) == now_us // 1_000 * 1_000


def test_new_ids_of_one_instant_differ_and_those_of_later_ones_sort_behind() -> None:
    assert new_id(NOW_US) != new_id(NOW_US)
    drawn = [new_id(NOW_US + step) for step in range(1_000)]
    assert drawn == sorted(drawn)


def test_a_new_id_takes_its_randomness_from_where_it_is_told() -> None:
    assert new_id(NOW_US, bytes) == "019b796d-d67b-774b-8000-000000000000"


@given(st.text())
def test_no_other_text_tells_a_time(text: str) -> None:
    assert uuid7_time_us(text) is None
    assert uuid7_time_us(derived_id(text)) is None
