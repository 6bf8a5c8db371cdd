"""What a query reads, by the names in its text."""

from typing import Any, Final, NamedTuple

_CATALOGS: Final = frozenset({"information_schema", "pg_catalog"})


class Names(NamedTuple):
    """The views that a query names, by schema (maybe empty) and name, in lower case; `everything`: it asks what there is."""

    views: tuple[tuple[str, str], ...]
    everything: bool = False


def names_in(nodes: list[dict[str, Any]]) -> Names:
    """Return what the nodes of a query's tree name; names of its own (WITH) are among them and mean nothing."""
    found: dict[tuple[str, str], None] = {}
    everything = False
    for node in nodes:
        match node.get("type"):
            case "BASE_TABLE":
                found[node["schema_name"].lower(), node["table_name"].lower()] = None
                everything |= node["schema_name"].lower() in _CATALOGS
            case "SHOW_REF" if node.get("query") is None:
                name = str(node["table_name"]).strip('"').lower()
                found[str(node.get("schema_name") or "").lower(), name] = None
                everything |= node.get("show_type") != "DESCRIBE" or name in {"tables", "databases"}
            case "TABLE_FUNCTION":
                everything |= str(node["function"]["function_name"]).lower().startswith(("duckdb_", "pragma_"))
    return Names(tuple(found), everything)
