"""Read the metrics of components: `timestamp,component,metric,value`."""

from collections.abc import Callable

import numpy as np

from ..causes import Metrics, Series
from .stamps import stamp_us
from .table import BadLine, Table, number

Key = tuple[str, str]


def read_metrics(path: str) -> tuple[Metrics, list[BadLine]]:
    """Read a CSV file into a series per (component, metric), in order of time; raises OSError, TableInvalid."""
    table = Table(path, ("timestamp", "component", "metric", "value"))
    stamp = _remembered(stamp_us)
    found: dict[Key, tuple[list[int], list[float]]] = {}
    for line, (when, component, metric, value) in table.rows():
        if not component or not metric:
            table.refuse(line, "expected the names of a component and a metric, got an empty one")
            continue
        try:
            at_us, measured = stamp(when), number(value)
        except (ValueError, OverflowError) as error:
            table.refuse(line, str(error))
            continue
        times, values = found.setdefault((component, metric), ([], []))
        times.append(at_us)
        values.append(measured)
    return {key: _series(*columns) for key, columns in found.items()}, table.bad


def _remembered(parse: Callable[[str], int]) -> Callable[[str], int]:
    """Parse a timestamp once: it comes once per metric."""
    known: dict[str, int] = {}

    def remembered(text: str) -> int:
        if text not in known:
            known[text] = parse(text)
        return known[text]

    return remembered


def _series(times: list[int], values: list[float]) -> Series:
    at = np.array(times, dtype=np.int64)
    order = np.argsort(at, kind="stable")
    return at[order], np.array(values, dtype=np.float64)[order]
