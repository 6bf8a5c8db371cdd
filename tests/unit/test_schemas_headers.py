"""CloudEvents headers: made from the envelope, and held against it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hms.schemas import Envelope, HeaderMismatch, check_headers, headers_for
from hms.schemas.envelope import AT_US_MAX

ENVELOPE = Envelope(
    id="0193f3a2-7c1e-7abc-8def-0123456789ab",
    source="client/joe@host",
    destination="account/anna",
    type="bank.Deposit",
    at_us=1_767_268_800_000_001,
    correlation_id="order-4711",
)


def test_the_headers_are_cloud_events_in_binary_mode() -> None:
    headers = dict(headers_for(ENVELOPE))
    trace = headers.pop("traceparent")
    assert headers == {
        "ce_specversion": b"1.0",
        "ce_id": b"0193f3a2-7c1e-7abc-8def-0123456789ab",
        "ce_source": b"client/joe@host",
        "ce_type": b"bank.Deposit",
        "ce_time": b"2026-01-01T12:00:00.000001Z",
        "content-type": b"application/avro",
    }
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-01", trace)


def test_records_of_one_correlation_share_a_trace_and_have_spans_of_their_own() -> None:
    first = dict(headers_for(ENVELOPE))["traceparent"].split(b"-")
    second = dict(headers_for(ENVELOPE._replace(id="another")))["traceparent"].split(b"-")
    assert first[1] == second[1]
    assert first[2] != second[2]


envelopes = st.builds(
    Envelope, st.text(), st.text(), st.text(), st.text(), at_us=st.integers(0, AT_US_MAX), correlation_id=st.text()
)


@given(envelopes)
def test_what_is_made_from_an_envelope_agrees_with_it(envelope: Envelope) -> None:
    check_headers(headers_for(envelope), envelope)


def test_headers_that_are_not_there_and_those_of_others_are_fine() -> None:
    check_headers((), ENVELOPE)
    check_headers((("ce_subject", b"x"), ("traceparent", b"mine"), ("content-type", b"text/plain")), ENVELOPE)


@pytest.mark.parametrize(
    "spelled", [b"2026-01-01T12:00:00.000001+00:00", b"2026-01-01T13:00:00.000001+01:00", b"20260101T120000.000001Z"]
)
def test_another_spelling_of_the_same_instant_is_fine(spelled: bytes) -> None:
    check_headers((("ce_time", spelled),), ENVELOPE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce_id", b"other"),
        ("ce_source", b"client/eve@host"),
        ("ce_type", b"bank.Withdraw"),
        ("ce_specversion", b"0.3"),
        ("ce_time", b"2026-01-01T12:00:00Z"),
        ("ce_time", b"2026-01-01T12:00:00.000001"),
        ("ce_time", b"yesterday"),
        ("ce_id", b"\xff\xfe"),
        ("ce_time", b"\xff"),
        ("ce_type", b""),
    ],
)
def test_a_header_that_contradicts_the_envelope_is_malformed(name: str, value: bytes) -> None:
    with pytest.raises(HeaderMismatch, match=f"header {name}: expected"):
        check_headers((*headers_for(ENVELOPE), (name, value)), ENVELOPE)
