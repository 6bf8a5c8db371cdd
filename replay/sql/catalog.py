"""Which views there are: one per record type, from the contract of HMS and the schemas in the log; and those made of them."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ...core.log.port import DEAD_LETTERS, EVENTS, LANES, OUTBOX, SCHEMAS
from ...core.runtime import records as runtime_records
from ...schemas import Message, Record, normalised
from ...schemas.avro import avro_schema
from ...schemas.fingerprint import wire_schema
from ...schemas.record import Event
from ...schemas.vocabulary import VOCABULARY, records_in

_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
UNREADABLE: Final = "hms.Unreadable"
SCHEMA: Final = "hms.Schema"
BARE: Final = {UNREADABLE: ("reason",), SCHEMA: ("schema_json",)}
"""Tables that hold no type's records, and their columns: what could not be read, and the schemas themselves."""
SOURCES: Final[Mapping[str, tuple[str, ...]]] = {
    "events": (EVENTS,),
    "messages": (*LANES, OUTBOX),
    "dead_letters": (DEAD_LETTERS,),
    "schemas": (SCHEMAS,),
}
"""Where records of a type may be: a table of each of these beside the archive's files."""


class ViewName(NamedTuple):
    """`schema` is the app, in lower case and with underscores, `name` the class."""

    schema: str
    name: str

    def __str__(self) -> str:
        """Return it as a query writes it."""
        return self.name if self.schema == "hms" else f"{self.schema}.{self.name}"


class Kind(NamedTuple):
    """A record type: its schemas, oldest first, as the log has them; the last one is the one that views show."""

    type: str
    view: ViewName
    schemas: tuple[dict[str, Any], ...]

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that any schema has, with the newest type of each: the newest schema's first."""
        found: dict[str, Any] = {}
        for schema in reversed(self.schemas):
            for field in _own_fields(schema):
                found.setdefault(field["name"], field["type"])
        return found

    @property
    def aliases(self) -> dict[str, list[str]]:
        """The older names of fields that were renamed."""
        named: dict[str, list[str]] = {}
        for schema in self.schemas:
            for field in _own_fields(schema):
                known = named.setdefault(field["name"], [])
                known.extend(alias for alias in field.get("aliases", ()) if alias not in known)
        return {name: aliases for name, aliases in named.items() if aliases}

    @property
    def defaults(self) -> dict[str, Any]:
        """What stands in for a field in records of a schema that lacks it; only for fields that cannot be null."""
        found = {}
        for field in _own_fields(self.schemas[-1]):
            may_lack = any(field["name"] not in {one["name"] for one in _own_fields(old)} for old in self.schemas)
            if may_lack and field.get("default") is not None and not isinstance(field["type"], list):
                found[field["name"]] = field["default"]
        return found


def _own_fields(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [field for field in schema["fields"] if field["name"] != "envelope"]


def view_name(type_name: str) -> ViewName:
    """Return a type's view: `hms.ComponentExited` is `component_exited`, `bank.Deposited` is `bank.deposited`."""
    namespace, _, name = type_name.rpartition(".")
    return ViewName(_snake(namespace).replace(".", "_") or "main", _snake(name))


def _snake(name: str) -> str:
    return _WORDS.sub("_", name).lower()


def own_types() -> list[tuple[str, type[Record]]]:
    """Return what HMS itself says: messages, answers, events, and what the runtime writes."""
    events_and_messages = [cls for cls in VOCABULARY if issubclass(cls, (Event, Message))]
    asking = [cls for cls in events_and_messages if issubclass(cls, Message)]
    answers = [cls for message in asking if (cls := message.answer_type()) is not None]
    runtime = [cls for cls in records_in(runtime_records) if issubclass(cls, (Event, Message))]
    classes = dict.fromkeys([*events_and_messages, *answers, *runtime])
    return [(cls.explicit_type or f"hms.{cls.__name__}", cls) for cls in classes]


def own_schemas() -> list[dict[str, Any]]:
    """Return the wire schemas of HMS's own types, as this release writes them."""
    return [json.loads(normalised(wire_schema(avro_schema(cls, name)))) for name, cls in own_types()]


class Catalog:
    """The types by their names and by their views' names."""

    def __init__(self, in_log: Iterable[dict[str, Any]], own: Iterable[dict[str, Any]]) -> None:
        """Make it of the schemas in the log, oldest first, and those of this release, which count as the newest."""
        by_type: dict[str, list[dict[str, Any]]] = {}
        bare = ({"name": name, "fields": [{"name": one, "type": "string"} for one in BARE[name]]} for name in BARE)
        for schema in [*in_log, *own, *bare]:
            known = by_type.setdefault(schema["name"], [])
            if schema in known:
                known.remove(schema)
            known.append(schema)
        self.kinds = {name: Kind(name, view_name(name), tuple(schemas)) for name, schemas in sorted(by_type.items())}
        self._by_view: dict[tuple[str, str], Kind] = {}
        for kind in self.kinds.values():
            self._by_view.setdefault(kind.view, kind)
        self._unqualified = self._names_without_schema()
        self.renamed = self._renamed_types()

    def find(self, schema: str, name: str) -> Kind | None:
        """Return the type whose view is meant; without a schema, HMS's own come first."""
        if schema in {"", "main"}:
            return self._unqualified.get(name.lower())
        return self._by_view.get((schema.lower(), name.lower()))

    def is_unqualified(self, kind: Kind) -> bool:
        """Say whether a type's view may be named without its schema."""
        return self._unqualified.get(kind.view.name) is kind

    def former(self, kind: Kind) -> list[Kind]:
        """Return the types whose records are a type's, too: it was renamed, and its schema names them as aliases."""
        return [self.kinds[name] for name in self.renamed.get(kind.type, ()) if name in self.kinds]

    def _names_without_schema(self) -> dict[str, Kind]:
        found: dict[str, Kind] = {}
        ambiguous = set()
        for kind in self._by_view.values():
            other = found.setdefault(kind.view.name, kind)
            if other is not kind and "hms" not in {other.view.schema, kind.view.schema}:
                ambiguous.add(kind.view.name)
            if kind.view.schema == "hms":
                found[kind.view.name] = kind
        return {name: kind for name, kind in found.items() if name not in ambiguous}

    def _renamed_types(self) -> dict[str, tuple[str, ...]]:
        """Return, of each type whose schemas have aliases, the full names of those."""
        found = {}
        for name, kind in self.kinds.items():
            namespace = name.rpartition(".")[0]
            aliases = [alias for schema in kind.schemas for alias in schema.get("aliases", ())]
            full = [alias if "." in alias or not namespace else f"{namespace}.{alias}" for alias in aliases]
            if full:
                found[name] = tuple(dict.fromkeys(full))
        return found
