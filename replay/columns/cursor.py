"""Many Avro values read side by side: one cursor a record, all moved by the same field at once.

A field of ten thousand records costs a few passes over arrays instead of ten thousand calls. A value that cannot be
read marks its record as bad and moves on to nowhere near the end of the data; bad records are read again one by one,
by the ordinary reader, which says what is wrong with them.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

LONG_BYTES_MAX: Final = 10
PADDING: Final = b"\0" * 16
"""Behind the data, so that whoever reads up to ten bytes from its end reads something."""

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]


class Cursor:
    """Positions in one stretch of bytes: of each record where to go on, and where it ends."""

    def __init__(self, data: Bytes, at: Numbers, end: Numbers) -> None:
        self.data = data
        self.at = at
        self.end = end
        self.bad: Flags = np.zeros(len(at), np.bool_)

    def __len__(self) -> int:
        return len(self.at)

    def longs(self) -> Numbers:
        """Read an Avro long of every record."""
        byte = self.data[self.at]
        value = (byte & 0x7F).astype(np.uint64)
        going = np.flatnonzero(byte & 0x80)
        self.at = self.at + 1
        shift = 7
        while len(going):
            if shift >= 7 * LONG_BYTES_MAX:
                self.bad[going] = True
                break
            byte = self.data[self.at[going]]
            self.at[going] += 1
            value[going] |= (byte & 0x7F).astype(np.uint64) << np.uint64(shift)
            going = going[(byte & 0x80) != 0]
            shift += 7
        self._stop_beyond()
        return ((value >> np.uint64(1)).astype(np.int64)) ^ -((value & np.uint64(1)).astype(np.int64))

    def fixed(self, size: int) -> Bytes:
        """Read so many bytes of every record; the answer has a row a record."""
        found: Bytes = self.data[self.at[:, None] + np.arange(size)]
        self.at = self.at + size
        self._stop_beyond()
        return found

    def strings(self, kind: pa.DataType) -> pa.Array:
        """Read a text, or bytes, of every record as an Arrow array; UTF-8 is not checked here."""
        length = self.longs()
        wrong = (length < 0) | (length > self.end - self.at)
        if wrong.any():
            self.bad |= wrong
            length[wrong] = 0
        offsets = np.zeros(len(length) + 1, np.int64)
        np.cumsum(length, out=offsets[1:])
        gathered = self.data[np.repeat(self.at - offsets[:-1], length) + np.arange(offsets[-1])]
        self.at = self.at + length
        buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(gathered)]
        return pa.Array.from_buffers(kind, len(length), buffers)

    def some(self, which: Numbers) -> "Cursor":
        """Return a cursor over some of the records; `put_back` when it has read."""
        return Cursor(self.data, self.at[which], self.end[which])

    def put_back(self, part: "Cursor", which: Numbers) -> None:
        """Go on where a part of the records got to."""
        self.at[which] = part.at
        self.bad[which] |= part.bad

    def finish(self) -> Flags:
        """Return which records are bad: those too that were not read to their very end."""
        bad: Flags = self.bad | (self.at != self.end)
        return bad

    def _stop_beyond(self) -> None:
        beyond = self.at > self.end
        if beyond.any():
            self.bad |= beyond
            self.at = np.minimum(self.at, self.end)
