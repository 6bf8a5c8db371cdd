"""Messages, answers and events: HMS's vocabulary and what the runtime itself writes."""

import re
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import get_args

from pydantic.fields import FieldInfo

from hms.core.runtime import records as runtime
from hms.schemas import Event, Message, Record, State
from hms.schemas.avro import type_name
from hms.schemas.vocabulary import MODULES, records_in

from . import markdown

PROTOCOL = re.compile(r"^`([a-z_]+)`:")
MESSAGES = """What is said to actors and to the host agents, and what they answer. Sent by `hms` itself; from Python
by `tell` and `ask`. `protocol` is the message's name in the communication protocol. A type is named `hms.CLASS`;
every record is frozen and has exactly these fields, which the [envelope](topics.md) follows on the wire. Avro
schemas: `hms schema export`."""
EVENTS = """What actors decided: the records of `hms.events`, `hms event list --type NAME`. An actor's state is the
fold of its events. The time and the cause of an event are in its envelope; the last section holds what the runtime
notes by itself."""


def messages_page() -> str:
    """Return docs/reference/messages.md."""
    return markdown.page("Messages and answers", MESSAGES, *_sections(_is_said))


def events_page() -> str:
    """Return docs/reference/events.md."""
    own = [_entry(cls) for cls in runtime.RUNTIME_RECORDS if not issubclass(cls, Message)]
    return markdown.page("Events", EVENTS, *_sections(lambda cls: issubclass(cls, Event)), "## The runtime's own", *own)


def _sections(wanted) -> Iterator[str]:  # noqa: ANN001 - a predicate on records
    for module in MODULES:
        if found := [cls for cls in records_in(module) if wanted(cls)]:
            yield f"## {_title(module)}"
            yield from map(_entry, found)
    if wanted is _is_said:
        yield "## The runtime's own"
        yield from (_entry(cls) for cls in runtime.RUNTIME_RECORDS if issubclass(cls, Message))


def _is_said(cls: type[Record]) -> bool:
    return not issubclass(cls, Event | State)


def _title(module: ModuleType) -> str:
    first = markdown.doc(module).partition("\n")[0]
    return re.split(r"[.:](?:\s|$)", first)[0]


def _entry(cls: type[Record]) -> str:
    rows = [(f"`{name}`", _type(info.annotation), _notes(info)) for name, info in cls.model_fields.items()]
    fields = markdown.table(("field", "type", "default, bounds"), rows) if rows else "No fields."
    return "\n\n".join([f"### `{type_name(cls, 'hms')}`", " · ".join(_facts(cls)), markdown.doc(cls), fields]).replace(
        "\n\n\n\n", "\n\n"
    )


def _facts(cls: type[Record]) -> Iterable[str]:
    if protocol := PROTOCOL.match(markdown.doc(cls)):
        yield f"protocol: `{protocol[1]}`"
    if issubclass(cls, Message):
        answer = cls.answer_type()
        yield f"message, answered by `{type_name(answer, 'hms')}`" if answer else "message"
    elif not issubclass(cls, Event):
        yield "answer, or part of another record"


def _type(annotation: object) -> str:
    if isinstance(annotation, type) and not get_args(annotation):
        return "" if annotation is type(None) else annotation.__name__
    text = re.sub(r"\b(?:typing|datetime|hms\.[a-z_.]+)\.", "", str(annotation))
    text = re.sub(r"Annotated\[([^\[\],]+), .*?\)\]", r"\1", text)
    return re.sub(r"Literal\[([^\]]*)\]", lambda found: " or ".join(re.findall(r"'([^']*)'", found[1])), text)


def _notes(info: FieldInfo) -> str:
    notes = [f"{name} {value}" for piece in info.metadata for name, value in _bounds(piece)]
    if not info.is_required():
        notes.insert(0, f"`{_plain(info.default)}`")
    return ", ".join(notes)


def _bounds(piece: object) -> Iterator[tuple[str, object]]:
    for name, words in (
        ("ge", "at least"),
        ("le", "at most"),
        ("min_length", "length at least"),
        ("max_length", "length at most"),
    ):
        if (value := getattr(piece, name, None)) is not None:
            yield words, value
    if pattern := getattr(piece, "pattern", None):
        yield "pattern", f"`{pattern}`"


def _plain(default: object) -> str:
    return f"{type(default).__name__}()" if isinstance(default, Record) else repr(default)
