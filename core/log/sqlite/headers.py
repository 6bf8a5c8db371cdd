"""Headers as bytes: the names once, then the lengths, then the values.

`u16 size of the names | names joined by NUL (UTF-8) | u32 length of each value | values`, big-endian; no headers: empty.
Records of one kind share their names, so both directions keep them in a cache and touch Python little.
"""

import struct
from functools import lru_cache
from itertools import accumulate, pairwise

from ...errors import ValidationFailed
from ..port import Headers

_SIZE = struct.Struct(">H")


def encode_headers(headers: Headers) -> bytes:
    """Return the bytes of the headers; raises `ValidationFailed` for a name that holds a NUL."""
    if not headers:
        return b""
    names, values = zip(*headers, strict=True)
    prefix, lengths = _encoder(names)
    return prefix + lengths.pack(*map(len, values)) + b"".join(values)


def decode_headers(data: bytes) -> Headers:
    """Return the headers that `encode_headers` was given."""
    if not data:
        return ()
    body = 2 + _SIZE.unpack_from(data)[0]
    names, lengths = _decoder(data[:body])
    ends = accumulate(lengths.unpack_from(data, body), initial=body + lengths.size)
    return tuple([(name, data[start:end]) for name, (start, end) in zip(names, pairwise(ends), strict=True)])


@lru_cache(maxsize=1024)
def _encoder(names: tuple[str, ...]) -> tuple[bytes, struct.Struct]:
    if any("\0" in name for name in names):
        raise ValidationFailed(f"expected header names without NUL, got {names}")
    text = "\0".join(names).encode()
    return _SIZE.pack(len(text)) + text, struct.Struct(f">{len(names)}I")


@lru_cache(maxsize=1024)
def _decoder(prefix: bytes) -> tuple[tuple[str, ...], struct.Struct]:
    names = tuple(prefix[2:].decode().split("\0"))
    return names, struct.Struct(f">{len(names)}I")
