"""Records as columns: Avro values to Arrow tables, decoded by their writers' schemas.

`Columns` takes records and gives a table a type; `Schemas` are the schemas that the log holds. Column names work in
DuckDB without quotes.
"""

from .columns import SCHEMA, UNREADABLE, Columns, Part, Schemas
from .names import AFTER, BEFORE, RESERVED, column_names
from .wire_type import WireType

__all__ = [
    "AFTER",
    "BEFORE",
    "RESERVED",
    "SCHEMA",
    "UNREADABLE",
    "Columns",
    "Part",
    "Schemas",
    "WireType",
    "column_names",
]
