"""Batches that aiokafka's decoder refuses: a stranger may give a header a name that is no UTF-8, and brokers take it.

Nobody's record may stop a reader. The decoder gives up in the middle of the batch, so the whole batch is decoded here again,
slowly; what is no text in a name is replaced.
"""

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Final, NamedTuple

from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.record.util import decode_varint

_HEAD: Final = Struct(">qiibIhiqqqhii")
"""First offset, length, leader's epoch, magic, checksum, attributes, last delta, first and last time, producer (3), count."""
_CODECS: Final[dict[int, Callable[[bytes], bytes]]] = {
    0: lambda payload: payload,
    1: gzip_decode,
    2: snappy_decode,
    3: lz4_decode,
    4: zstd_decode,
}
_CODEC_MASK: Final = 0x07
_LOG_APPEND_TIME_MASK: Final = 0x08


class LenientRecord(NamedTuple):
    """As aiokafka's; the timestamp is in milliseconds."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


def decode_batch(batch: bytes) -> Iterator[LenientRecord]:
    """Yield the records of a batch."""
    first, _, _, _, _, attributes, _, first_ms, last_ms, _, _, _, count = _HEAD.unpack_from(batch)
    cursor = _Cursor(bytearray(_CODECS[attributes & _CODEC_MASK](batch[_HEAD.size :])))
    for _ in range(count):
        cursor.number()  # length
        cursor.at += 1  # attributes, unused
        time_ms = first_ms + cursor.number()
        offset = first + cursor.number()
        if attributes & _LOG_APPEND_TIME_MASK:
            time_ms = last_ms
        yield LenientRecord(offset, time_ms, cursor.data(), cursor.data(), cursor.headers())


class _Cursor:
    def __init__(self, payload: bytearray) -> None:
        self.at = 0
        self._payload = payload

    def number(self) -> int:
        value, self.at = decode_varint(self._payload, self.at)
        found: int = value
        return found

    def data(self) -> bytes | None:
        length = self.number()
        if length < 0:
            return None
        self.at += length
        return bytes(self._payload[self.at - length : self.at])

    def headers(self) -> list[tuple[str, bytes | None]]:
        return [((self.data() or b"").decode("utf-8", "replace"), self.data()) for _ in range(self.number())]
