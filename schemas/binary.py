"""Avro's binary forms of numbers, texts and bytes, by hand: for the few records whose shape never varies.

A straight line of code for a fixed shape takes a third of a schema walk. What it writes is plain Avro, as tests hold.
"""

from functools import lru_cache
from typing import Final

_MORE: Final = 0x80
"""The bit of a byte which says that more follow."""
LONGER_BYTES: Final = 64
"""A length under this is one byte below 0x80, so it is an ASCII character too."""


def encode_long(number: int) -> bytes:
    """Return Avro's long: zigzag, seven bits a byte, low ones first."""
    rest = (number << 1) ^ (number >> 63)
    out = bytearray()
    while rest >= _MORE:
        out.append(rest & 0x7F | _MORE)
        rest >>= 7
    out.append(rest)
    return bytes(out)


_SHORT: Final = tuple(encode_long(length) for length in range(256))
SIZES: Final = tuple(chr(length << 1) for length in range(LONGER_BYTES))
"""The length of a short ASCII text as the character that stands before it."""


def encode_bytes(data: bytes) -> bytes:
    """Return Avro's bytes: the length, then the data."""
    size = len(data)
    return (_SHORT[size] if size < len(_SHORT) else encode_long(size)) + data


def encode_text(text: str) -> bytes:
    """Return Avro's string, UTF-8. Raises `UnicodeEncodeError` for lone surrogates."""
    return encode_bytes(text.encode())


word = lru_cache(1024)(encode_text)
"""For types, priorities, verdicts: few and always the same."""
