"""Headers as bytes: the names once, then the lengths of the values, then the values.

`u32 size of the names | (u32 length, UTF-8) for each name | u32 length of each value | values`, big-endian; no headers:
empty. Records of one kind share their names and often all lengths, so both directions keep these in a cache.
"""

import struct
from functools import lru_cache

from ..port import Headers

_SIZE = struct.Struct(">I")
Layout = tuple[bytes, tuple[str, ...], struct.Struct]
"""The bytes before the values, the names, and how to cut the values."""
REMEMBERED_BELOW = 512
_by_size: dict[int, Layout] = {}
"""The layout last seen of headers of so many bytes: the next ones of that size most likely have it too."""


def encode_headers(headers: Headers) -> bytes:
    """Return the bytes of the headers."""
    if not headers:
        return b""
    names, values = zip(*headers, strict=True)
    return _before(names, tuple(map(len, values))) + b"".join(values)


def decode_headers(data: bytes) -> Headers:
    """Return the headers that `encode_headers` was given."""
    if not data:
        return ()
    layout = _by_size.get(len(data))
    if layout is None or not data.startswith(layout[0]):
        layout = _layout(data)
        if len(data) < REMEMBERED_BELOW:
            _by_size[len(data)] = layout
    before, names, values = layout
    return tuple(zip(names, values.unpack_from(data, len(before)), strict=True))


def _layout(data: bytes) -> "Layout":
    body = _SIZE.size + _SIZE.unpack_from(data)[0]
    names = _names(data[:body])
    start = body + _SIZE.size * len(names)
    return data[:start], names, _values(data[body:start])


@lru_cache(maxsize=4096)
def _before(names: tuple[str, ...], sizes: tuple[int, ...]) -> bytes:
    """Return all that comes before the values."""
    encoded = [name.encode() for name in names]
    table = b"".join([_SIZE.pack(len(name)) + name for name in encoded])
    return b"".join((_SIZE.pack(len(table)), table, *map(_SIZE.pack, sizes)))


@lru_cache(maxsize=1024)
def _names(prefix: bytes) -> tuple[str, ...]:
    names = []
    at = _SIZE.size
    while at < len(prefix):
        start = at + _SIZE.size
        at = start + _SIZE.unpack_from(prefix, at)[0]
        names.append(prefix[start:at].decode())
    return tuple(names)


@lru_cache(maxsize=4096)
def _values(lengths: bytes) -> struct.Struct:
    sizes = struct.unpack(f">{len(lengths) // _SIZE.size}I", lengths)
    return struct.Struct("".join([f"{size}s" for size in sizes]))
