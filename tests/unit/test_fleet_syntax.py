"""Whatever bytes a fleet file holds, they are refused as mistakes with a place, never with a traceback."""

from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from hms.actors.fleet import FleetFileInvalid, parse_fleet, read_fleet
from hms.core.errors import CallerError

WEB = "fleet: shop\ncomponents:\n  - id: web\n    command: [web]\n"


class Wrong(NamedTuple):
    """A text with one mistake: where it is, its path, and a part of what is said."""

    text: str
    place: str
    path: str
    said: str


def web(line: str) -> str:
    """Return a file whose line 5 is the one given, at column 5."""
    return f"{WEB}    {line}\n"


SYNTAX = {
    "empty file": Wrong("", "1:1", "", "got an empty file; begin with"),
    "only a comment": Wrong("# nothing\n\n", "1:1", "", "got an empty file"),
    "tab": Wrong("fleet: shop\ncomponents:\n\t- id: web\n", "3:1", "", "indent with spaces, never with tabs"),
    "open bracket": Wrong("fleet: shop\ncomponents: [\n", "3:1", "", "look at the indentation, quotes and brackets"),
    "open quote": Wrong('fleet: "shop\n', "2:1", "", "unexpected end of stream"),
    "indentation": Wrong("fleet: shop\n  components: []\n", "2:13", "", "mapping values are not allowed here"),
    "two documents": Wrong(WEB + "---\nfleet: b\n", "5:1", "", "remove the second `---`"),
    "undefined alias": Wrong(web("user: *me"), "5:11", "", "define it before with `&NAME`"),
    "control character": Wrong("fleet: sh\x07op\n", "1:10", "", "the control character U+0007"),
    "NUL": Wrong(WEB + "\0", "5:1", "", "the control character U+0000"),
    "endless nesting": Wrong("fleet: " + "[" * 50_000, "1:27", "", "at most 20 levels, got deeper nesting"),
    "key twice": Wrong(
        WEB + "    command: [b]\n", "5:5", "components[0].command", "remove one of the two (the first is on line 4)"
    ),
    "key that is a list": Wrong(WEB + "? [a]\n: b\n", "5:3", "", "expected a key that is text"),
    "key that is nothing": Wrong(WEB + "~: b\n", "5:1", "", "a key that is text"),
    "tag of python": Wrong(web("user: !!python/name:os.system x"), "5:11", "components[0].user", "remove the tag"),
    "tag of one's own": Wrong(web("environment: !env {A: b}"), "5:18", "components[0].environment", "the tag `!env`"),
    "NUL in an escape": Wrong(web('environment: {A: "a\\0b"}'), "5:22", "components[0].environment.A", "U+0000"),
    "half a character": Wrong(web('environment: {A: "\\ud800"}'), "5:22", "components[0].environment.A", "U+D800"),
    "alias of itself": Wrong(web("environment: &e {A: *e}"), "5:22", "components[0].environment.A", "stands in"),
    "merge of text": Wrong(web("<<: text"), "5:9", "components[0].<<", "write `<<: *NAME`"),
}


def mistakes(text: str) -> tuple[str, ...]:
    with pytest.raises(FleetFileInvalid) as caught:
        parse_fleet(text, "fleet.yaml")
    return tuple(map(str, caught.value.mistakes))


@pytest.mark.parametrize("wrong", SYNTAX.values(), ids=SYNTAX)
def test_text_that_is_no_plain_yaml_is_named_with_its_line_and_column(wrong: Wrong) -> None:
    (said,) = mistakes(wrong.text)
    path = f"{wrong.path}: " if wrong.path else ""
    assert said.startswith(f"fleet.yaml:{wrong.place}: {path}expected ")
    assert wrong.said in said


def test_without_libyaml_the_places_and_words_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with_libyaml = [mistakes(wrong.text) for wrong in SYNTAX.values()]
    monkeypatch.setattr("hms.actors.fleet.syntax.Loader", yaml.SafeLoader)
    assert [mistakes(wrong.text) for wrong in SYNTAX.values()] == with_libyaml


def test_aliases_that_multiply_are_refused_before_they_fill_the_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (said,) = mistakes("\n".join(lines))
    assert "do not nest aliases in aliases" in said


def test_merges_that_multiply_are_refused_too() -> None:
    lines = ["a0: &a0 {x: y}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 12)]
    (said,) = mistakes("\n".join(lines))
    assert "do not nest aliases in aliases" in said


def test_a_file_that_is_not_there_is_a_mistake_and_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(FleetFileInvalid, match=r"none.yaml:1:1: .*got No such file or directory; name a fleet file"):
        read_fleet(tmp_path / "none.yaml")


def test_a_folder_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(FleetFileInvalid, match="Is a directory"):
        read_fleet(tmp_path)


def test_a_program_is_a_mistake_at_its_first_odd_byte(tmp_path: Path) -> None:
    file = tmp_path / "program"
    file.write_bytes("fleet: ä\nb".encode() + b"\xff\x00")
    with pytest.raises(FleetFileInvalid, match=r"program:2:2: expected text in UTF-8, got the byte 0xFF"):
        read_fleet(file)


def test_a_huge_file_is_a_mistake_before_it_is_parsed(tmp_path: Path) -> None:
    file = tmp_path / "huge.yaml"
    file.write_bytes(b"#" * 1_048_577)
    with pytest.raises(FleetFileInvalid, match="at most 1048576 bytes, got more"):
        read_fleet(file)


def test_an_invalid_file_is_the_callers_error() -> None:
    with pytest.raises(CallerError) as caught:
        parse_fleet("", "fleet.yaml")
    assert caught.value.code == "validation_error"
