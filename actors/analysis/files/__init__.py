"""Files with numbers of others: series, metrics of components, and who calls whom."""

from .graph_file import GraphFileInvalid, read_graph
from .metrics_file import read_metrics
from .series_file import Row, SeriesFile, read_series
from .stamps import stamp_us
from .table import BadLine, TableInvalid

__all__ = [
    "BadLine",
    "GraphFileInvalid",
    "Row",
    "SeriesFile",
    "TableInvalid",
    "read_graph",
    "read_metrics",
    "read_series",
    "stamp_us",
]
