"""A YAML node graph to plain values, with the place of each.

Anchors, aliases and merge keys (`<<`) work, bounded in what they may expand to. Only plain decimal numbers are numbers:
what YAML 1.1 and 1.2 read differently (010, 1:30) stays text, so that an editor and HMS agree.
"""

import re
from typing import Any, NamedTuple

import yaml

from .document import START, Document
from .mistakes import Path, Place

DEPTH_MAX = 20
VALUES_MAX = 200_000
_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_TEXTS = ("str", "timestamp", "value", "merge")
_TRUE = ("yes", "true", "on")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]{0,17})")
_FLOAT = re.compile(r"[-+]?[0-9][0-9_]{0,30}\.[0-9]{0,30}([eE][-+]?[0-9]{1,3})?")


class _Entry(NamedTuple):
    key: yaml.ScalarNode
    value: yaml.Node


class Walk:
    """One walk over one graph; what it finds wrong goes into the document's mistakes."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._made = 0
        self._open: list[yaml.Node] = []

    def value(self, node: yaml.Node, path: Path) -> Any:
        """Return what the node says; None where it is a mistake."""
        self._document.values[path] = place_of_mark(node.start_mark)
        if not self._may_enter(node, path):
            return None
        self._open.append(node)
        try:
            return self._of_kind(node, path)
        finally:
            self._open.pop()

    def _may_enter(self, node: yaml.Node, path: Path) -> bool:
        self._made += 1
        if any(node is outer for outer in self._open):
            self._document.values[path] = self._document.keys.get(path, self._document.values[path])
            self._document.wrong(path, "a value", "an alias of what it stands in", "write the value out")
            return False
        if self._made > VALUES_MAX or len(self._open) > DEPTH_MAX:
            expected = f"at most {VALUES_MAX} values, {DEPTH_MAX} levels deep"
            advice = "do not nest aliases in aliases"
            self._document.mistakes.add(START, (), expected, "more, with the aliases expanded", advice)
            self._document.mistakes.raise_any()
        return True

    def _wrong(self, node: yaml.Node, path: Path, expected: str, got: str, advice: str) -> None:
        self._document.mistakes.add(place_of_mark(node.start_mark), path, expected, got, advice)

    def _of_kind(self, node: yaml.Node, path: Path) -> Any:
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return {key: self._entry((*path, key), entry) for key, entry in self._entries(node, path).items()}
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        return self._tagged(node, path)

    def _tagged(self, node: yaml.Node, path: Path) -> None:
        got = f"the tag `{node.tag.replace(_TAG, '!!')}`"
        self._wrong(node, path, "plain YAML", got, "remove the tag")

    def _entry(self, path: Path, entry: _Entry) -> Any:
        self._document.keys[path] = place_of_mark(entry.key.start_mark)
        return self.value(entry.value, path)

    def _entries(self, node: yaml.MappingNode, path: Path) -> dict[str, _Entry]:
        """Return a mapping's own entries, then what it merges and does not say itself."""
        entries: dict[str, _Entry] = {}
        for key, value in node.value:
            if key.tag != _MERGE and self._key_fits(key, path, entries):
                entries[key.value] = _Entry(key, value)
        for key, value in node.value:
            if key.tag == _MERGE:
                entries = {**self._merged(value, path), **entries}
        return entries

    def _key_fits(self, key: yaml.Node, path: Path, entries: dict[str, _Entry]) -> bool:
        if not isinstance(key, yaml.ScalarNode) or key.tag == f"{_TAG}null":
            self._wrong(key, path, "a key that is text", "a list, a mapping or nothing", "write a name")
            return False
        if key.value in entries:
            first = place_of_mark(entries[key.value].key.start_mark)
            advice = f"remove one of the two (the first is on line {first.line})"
            self._wrong(key, (*path, key.value), "each key once", f"`{key.value}` for the second time", advice)
            return False
        return self._clean(key, (*path, key.value))

    def _merged(self, source: yaml.Node, path: Path) -> dict[str, _Entry]:
        entries: dict[str, _Entry] = {}
        for mapping in source.value if isinstance(source, yaml.SequenceNode) else [source]:
            if not isinstance(mapping, yaml.MappingNode):
                self._wrong(source, (*path, "<<"), "an alias of a mapping", "something else", "write `<<: *NAME`")
            elif self._may_enter(mapping, (*path, "<<")):
                self._open.append(mapping)
                entries = {**self._entries(mapping, path), **entries}
                self._open.pop()
        return entries

    def _clean(self, node: yaml.ScalarNode, path: Path) -> bool:
        """Refuse what neither an operating system nor UTF-8 can carry; YAML's escapes can write both."""
        odd = next((letter for letter in node.value if letter == "\0" or "\ud800" <= letter <= "\udfff"), None)
        if odd is not None:
            got = f"the character U+{ord(odd):04X}"
            self._wrong(node, path, "text without NUL and lone surrogates", got, "remove it")
        return odd is None

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        if not self._clean(node, path):
            return None
        self._document.written[path] = node.value
        kind = node.tag.removeprefix(_TAG)
        if kind == "bool":
            return node.value.lower() in _TRUE
        if kind in {"int", "float"}:
            return _number(node.value)
        if kind in _TEXTS:
            return node.value
        return self._null(node, path) if kind == "null" else self._tagged(node, path)

    def _null(self, node: yaml.ScalarNode, path: Path) -> None:
        self._wrong(node, path, "a value", "nothing", 'give it a value ("" is empty text), or remove the key')


def place_of_mark(mark: Any) -> Place:
    """Return PyYAML's mark, which counts from 0, as a place."""
    return Place(mark.line + 1, mark.column + 1)


def _number(text: str) -> int | float | str:
    plain = text.replace("_", "")
    if _INTEGER.fullmatch(text):
        return int(plain)
    return float(plain) if _FLOAT.fullmatch(text) else text
