"""Read one series: `timestamp,value`."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .stamps import stamp_us
from .table import BadLine, Table, number


class Row(NamedTuple):
    """A line as it was written, and what it means; `value` is NaN where no measurement was."""

    timestamp: str
    text: str
    at_us: int
    value: float


class SeriesFile(NamedTuple):
    """A file's rows in its own order, and the lines that could not be read."""

    path: str
    rows: list[Row]
    bad: list[BadLine]

    def columns(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Return instants and values as arrays."""
        at_us = np.array([row.at_us for row in self.rows], dtype=np.int64)
        return at_us, np.array([row.value for row in self.rows], dtype=np.float64)


def read_series(path: str) -> SeriesFile:
    """Read a CSV file with the columns `timestamp` and `value`; raises OSError, TableInvalid."""
    table = Table(path, ("timestamp", "value"))
    rows = []
    for line, (stamp, text) in table.rows():
        try:
            rows.append(Row(stamp, text, stamp_us(stamp), number(text)))
        except (ValueError, OverflowError) as error:
            table.refuse(line, str(error))
    return SeriesFile(path, rows, table.bad)
