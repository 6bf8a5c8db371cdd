"""Samples of many series as columns: what SQL reads and the detectors walk through."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True)
class Samples:
    """Equally long columns: the series' name, micros UTC, and the value (NaN: no measurement)."""

    series: pa.Array
    at_us: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]

    @classmethod
    def of(cls, rows: Iterable[tuple[str, int, float]]) -> "Samples":
        """Make columns of rows."""
        series, at_us, values = zip(*rows, strict=True) if (rows := list(rows)) else ((), (), ())
        names = pa.array(series, pa.string()).dictionary_encode()
        return cls(names, np.array(at_us, dtype=np.int64), np.array(values, dtype=np.float64))

    def table(self) -> pa.Table:
        """Return them as an Arrow table `series, at_us, value`; nothing is copied."""
        return pa.table({"series": self.series, "at_us": self.at_us, "value": self.values})
