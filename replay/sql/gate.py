"""Which statements run: exactly one SELECT, whose whole tree only reads.

The type that DuckDB gives a statement is not enough: `WITH a AS (COPY ... TO 'file') SELECT 1` is a SELECT to it, and
writes; `query('...')` and `json_execute_serialized_sql('...')` run what is in a text. So the tree is looked through, too.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from .errors import QueryRefused
from .names import Names, names_in

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_NODES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_TABLE_FUNCTIONS: Final = frozenset(
    {
        *("range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree", "histogram"),
        *("histogram_values", "duckdb_columns", "duckdb_functions", "duckdb_keywords", "duckdb_tables", "duckdb_types"),
        *("duckdb_views", "duckdb_settings", "duckdb_memory", "pragma_table_info", "pg_timezone_names"),
    }
)
_EXPECTED: Final = "expected exactly one SELECT statement, which only reads"


def check(connection: "DuckDBPyConnection", sql: str) -> Names:
    """Return what a query reads; raises `QueryRefused` for anything but one SELECT that only reads, `duckdb.Error` beyond that."""
    import duckdb  # noqa: PLC0415 - in the child only

    try:
        statements = connection.extract_statements(sql)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise QueryRefused(str(error)) from error
    if len(statements) != 1:
        raise QueryRefused(f"{_EXPECTED}; got {len(statements)} statements")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise QueryRefused(f"{_EXPECTED}; got {statements[0].type.name}")
    nodes = list(_nodes(_tree(connection, sql)))
    _check_nodes(nodes)
    return names_in(nodes)


def _tree(connection: "DuckDBPyConnection", sql: str) -> dict[str, Any]:
    ((text,),) = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
    try:
        tree: dict[str, Any] = json.loads(text)
    except RecursionError:
        raise QueryRefused(f"{_EXPECTED}; got one that is nested too deeply") from None
    if tree.get("error") is not False:
        raise QueryRefused(f"{_EXPECTED}; {tree.get('error_message', 'this one cannot be looked through')}")
    return tree


def _check_nodes(nodes: list[dict[str, Any]]) -> None:
    for node in nodes:
        kind = node.get("type")
        if isinstance(kind, str) and kind.endswith("_NODE") and kind not in _NODES:
            raise QueryRefused(f"{_EXPECTED}; got one that holds a {kind.removesuffix('_QUERY_NODE')}")
        if "info_type" in node:
            raise QueryRefused(f"{_EXPECTED}; got one that holds a {node['info_type'].removesuffix('_INFO')}")
        if kind == "TABLE_FUNCTION":
            _check_function(str(node["function"]["function_name"]).lower())


def _check_function(name: str) -> None:
    if name not in _TABLE_FUNCTIONS:
        raise QueryRefused(f"{name}() is not for queries here; read the views (`hms sql --list`), or use range, unnest")


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
