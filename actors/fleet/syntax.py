"""YAML text to a document, by PyYAML's node graph.

Its constructors are not used: they forget the places, keep the last of two equal keys without a word, and expand ten
nested aliases to gigabytes. Nesting is bounded before the graph is composed, because composing recurses.
"""

from typing import Any

import yaml

from .document import START, Document
from .mistakes import Place
from .walk import DEPTH_MAX, Walk, place_of_mark

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times faster, where it was built in


def read_document(text: str, file: str) -> Document:
    """Read one YAML document; syntax errors are raised at once as `FleetFileInvalid`, the rest is in its `mistakes`."""
    document = Document(file)
    node = _compose(text, document)
    document.mistakes.raise_any()
    if node is None:
        document.wrong((), "a fleet", "an empty file", "begin with `fleet: NAME` and `components:`")
        document.mistakes.raise_any()
    document.data = Walk(document).value(node, ())
    return document


def place_of_index(text: str, index: int) -> Place:
    """Return the place of the character at `index`."""
    before = text[:index]
    return Place(before.count("\n") + 1, index - before.rfind("\n"))


def _compose(text: str, document: Document) -> Any:
    """Compose fast; then with PyYAML's own scanner: its messages are better, and the same on every machine."""
    try:
        return _composed(text, document, Loader)
    except yaml.YAMLError:
        pass
    try:
        return _composed(text, document, yaml.SafeLoader)
    except yaml.YAMLError as error:
        _note_syntax(error, text, document)
        return None


def _composed(text: str, document: Document, loader: Any) -> Any:
    _check_depth(text, document, loader)
    document.mistakes.raise_any()
    return yaml.compose(text, loader)


def _check_depth(text: str, document: Document, loader: Any) -> None:
    depth = 0
    for event in yaml.parse(text, loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_MAX:
            advice = "a fleet file needs 6: look for a bracket that is not closed"
            place = place_of_mark(event.start_mark)
            document.mistakes.add(place, (), f"at most {DEPTH_MAX} levels", "deeper nesting", advice)
            return


def _note_syntax(error: yaml.YAMLError, text: str, document: Document) -> None:
    got, place = str(error), START
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        place = place_of_mark(mark) if mark else START
        got = " ".join(part for part in (error.problem, error.context) if part)
    elif isinstance(error, yaml.reader.ReaderError):
        place = place_of_index(text, error.position)
        got = f"the control character U+{ord(text[error.position]):04X}"
    document.mistakes.add(place, (), "YAML", got, _advice(got))


def _advice(got: str) -> str:
    if "'\\t'" in got:
        return "indent with spaces, never with tabs"
    if "control character" in got:
        return "remove it, or write it as an escape in double quotes"
    if "undefined alias" in got:
        return "define it before with `&NAME`"
    if "a single document" in got:
        return "remove the second `---`: a file holds one fleet"
    return "look at the indentation, quotes and brackets here and just before"
