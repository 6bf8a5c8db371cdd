"""The generated pages of docs/reference say what the code says."""

from pathlib import Path

import make_reference
import pytest

from hms.actors.app import hms_app
from hms.schemas.avro import type_name

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
AGAIN = "run: python tools/make_reference.py {}"


@pytest.mark.parametrize("name", make_reference.PAGES)
def test_a_generated_page_is_what_the_code_says(name: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == make_reference.PAGES[name](), AGAIN.format(name)


def test_every_page_of_the_reference_is_generated_or_a_schema() -> None:
    assert {path.name for path in REFERENCE.glob("*.md")} == set(make_reference.PAGES)


def test_every_message_and_event_of_every_behaviour_has_its_place() -> None:
    messages = (REFERENCE / "messages.md").read_text(encoding="utf-8")
    events = (REFERENCE / "events.md").read_text(encoding="utf-8")
    for behaviour in hms_app.behaviours.values():
        assert [cls for cls in behaviour.messages if f"### `{type_name(cls, 'hms')}`" not in messages] == []
        assert [cls for cls in behaviour.events if f"### `{type_name(cls, 'hms')}`" not in events] == []
