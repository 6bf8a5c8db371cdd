"""Headers as bytes and back."""

from hypothesis import given
from hypothesis import strategies as st

from hms.core.log.sqlite.headers import decode_headers, encode_headers

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
headers = st.lists(st.tuples(names, st.binary(max_size=40)), max_size=12).map(tuple)


@given(headers)
def test_what_was_encoded_comes_back(given_headers: tuple[tuple[str, bytes], ...]) -> None:
    assert decode_headers(encode_headers(given_headers)) == given_headers


def test_the_bytes_are_as_documented() -> None:
    data = encode_headers((("a", b"xyz"), ("bc", b"")))
    assert data == b"\0\0\0\x0b" + b"\0\0\0\x01a" + b"\0\0\0\x02bc" + b"\0\0\0\x03\0\0\0\0" + b"xyz"
