"""What follows from what, however long, wide or wrong it is."""

import re

import pytest

from hms.console.cli.event_trace import node_item
from hms.core.log.port import EVENTS, NORMAL, Stored
from hms.replay.trace.gather import Found, Gathered
from hms.replay.trace.pictures import dot, html
from hms.replay.trace.tree import CAUSES_MAX, tree_of
from hms.schemas import Envelope


def found(offset: int, id_: str, cause: str | None, to: str = "chain/a", topic: str = NORMAL, **data: object) -> Found:
    envelope = Envelope(id_, "chain/a", to, "t.Step", offset, "c", cause, None, "normal", None, "1.0")
    return Found(Stored(topic, 0, offset, offset, b"", b"", ()), envelope, data)


def gathered(records: list[Found], asked: int, *, by_field: bool = False) -> Gathered:
    return Gathered(records[asked], records, {}, [], by_field)


def test_at_the_end_of_a_long_chain_what_was_asked_for_is_shown_with_its_nearest_causes() -> None:
    chain = [found(number, f"m{number}", f"m{number - 1}" if number else None) for number in range(1_000)]
    root = tree_of(gathered(chain, 999), nodes_max=3)
    shown = [node.id for _, node in root.walk()]
    assert shown == [f"m{number}" for number in range(999 - CAUSES_MAX, 1_000)]
    assert root.earlier == 999 - CAUSES_MAX


@pytest.mark.parametrize("length", [1, 2, 5])
def test_ids_that_run_in_a_circle_are_shown_once(length: int) -> None:
    circle = [found(number, f"m{number}", f"m{(number - 1) % length}") for number in range(length)]
    root = tree_of(gathered(circle, 0), whole=True)
    assert len(list(root.walk())) == length
    node_item(root)
    html(root)


def test_ten_thousand_answers_to_one_message_that_was_told_to_all_are_linked_each_to_its_own() -> None:
    told = [found(number, "all", None, f"chain/{number}") for number in range(10_000)]
    events = [
        Found(one.stored, one.envelope._replace(source=f"chain/{number}"), {})
        for number in range(10_000)
        for one in [found(10_000 + number, f"e{number}", "all", topic=EVENTS)]
    ]
    root = tree_of(gathered([*told, *events], 7), whole=True)
    assert [one.id for one in root.consequences] == ["e7"]


def test_of_an_id_in_a_field_of_a_message_the_decision_that_sent_it_is_shown() -> None:
    records = [found(0, "m", None), found(1, "told", "m", to="chain/b"), found(2, "done", "m", to="chain/c")]
    assert len(list(tree_of(gathered(records, 1)).walk())) == 2
    assert len(list(tree_of(gathered(records, 1, by_field=True)).walk())) == 3


HOSTILE = '</pre><script>alert(1)</script>"];\\n} \n"\\'


def test_what_a_message_holds_is_text_on_the_page_and_in_the_graph() -> None:
    root = tree_of(gathered([found(0, HOSTILE, None, to=HOSTILE, field=HOSTILE)], 0))
    assert "<script" not in html(root)
    assert "&lt;script&gt;" in html(root)
    (label,) = re.findall(r'label="((?:[^"\\]|\\.)*)", color', dot(root))
    assert "script" in label
    assert len(dot(root).splitlines()) == 5


def test_a_timer_that_is_due_after_the_last_year_is_shown_at_its_end() -> None:
    root = tree_of(gathered([found(0, "m", None)], 0))
    root.at_us = 1 << 62
    assert node_item(root)["at"].startswith("9999-12-31")
    assert "9999-12-31" in html(root)
