"""Headers as bytes: the names once, then the lengths, then the values.

`u16 size of the names | names joined by NUL (UTF-8) | u32 length of each value | values`, big-endian; no headers: empty.
Records of one kind share their names and often all lengths, so both directions keep these in a cache.
"""

import struct
from functools import lru_cache

from ...errors import ValidationFailed
from ..port import Headers

_SIZE = struct.Struct(">H")
NAMES_BYTES_MAX = 0xFFFF


def encode_headers(headers: Headers) -> bytes:
    """Return the bytes of the headers; raises `ValidationFailed` for names that hold a NUL or are too many."""
    if not headers:
        return b""
    names, values = zip(*headers, strict=True)
    prefix, lengths = _encoder(names)
    return b"".join((prefix, lengths.pack(*map(len, values)), *values))


def decode_headers(data: bytes) -> Headers:
    """Return the headers that `encode_headers` was given."""
    if not data:
        return ()
    body = 2 + _SIZE.unpack_from(data)[0]
    names, lengths_size = _names(data[:body])
    start = body + lengths_size
    return tuple(zip(names, _values(data[body:start]).unpack_from(data, start), strict=True))


@lru_cache(maxsize=1024)
def _encoder(names: tuple[str, ...]) -> tuple[bytes, struct.Struct]:
    text = "\0".join(names).encode()
    if any("\0" in name for name in names) or len(text) > NAMES_BYTES_MAX:
        raise ValidationFailed(
            f"expected header names without NUL, {NAMES_BYTES_MAX} bytes at most together, got {names}"
        )
    return _SIZE.pack(len(text)) + text, struct.Struct(f">{len(names)}I")


@lru_cache(maxsize=1024)
def _names(prefix: bytes) -> tuple[tuple[str, ...], int]:
    names = tuple(prefix[2:].decode().split("\0"))
    return names, 4 * len(names)


@lru_cache(maxsize=4096)
def _values(lengths: bytes) -> struct.Struct:
    sizes = struct.unpack(f">{len(lengths) // 4}I", lengths)
    return struct.Struct("".join([f"{size}s" for size in sizes]))
