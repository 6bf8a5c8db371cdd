"""Causes and consequences: hms event trace."""

import json
import re
from xml.etree import ElementTree as ET

import pytest

from . import shop as shops
from .conftest import Hms
from .test_past import events


def traced(hms: Hms, url: str, id_: str, *arguments: str) -> dict[str, object]:
    code, out, err = hms("event", "trace", id_, "--log", url, "-o", "json", *arguments)
    assert code == 0, err
    return json.loads(out)


def steps(node: dict[str, object]) -> list[tuple[str, str]]:
    below = [step for one in node["consequences"] for step in steps(one)]
    return [(node["kind"], node["type"].removeprefix(f"{shops.MODULE}.")), *below]


def find(node: dict[str, object], type_: str) -> dict[str, object]:
    found = [one for one in [node, *_below(node)] if one["type"].endswith(type_)]
    return found[0]


def _below(node: dict[str, object]) -> list[dict[str, object]]:
    return [inner for one in node["consequences"] for inner in [one, *_below(one)]]


def test_a_message_leads_to_events_sends_timers_effects_and_what_these_lead_to(hms: Hms, shop_log: str) -> None:
    root = traced(hms, shop_log, "order-1")
    assert (root["kind"], root["asked_for"], root["verdict"]) == ("message", True, "decided")
    seen = set(steps(root))
    assert {
        ("message", "Transfer"),
        ("event", "Withdrawn"),
        ("event", "hms.TimerSet"),
        ("timer", "timer remind"),
        ("effect", "effect tell"),
        ("message", "hms.EffectSucceeded"),
        ("event", "hms.EffectFinished"),
        ("message", "Deposit"),
        ("event", "Deposited"),
        ("message", "Balance"),
    } <= seen, seen
    deposit = find(root, ".Deposit")
    assert deposit["destination"] == "account/ben"
    assert [one["type"] for one in deposit["consequences"]] == [f"{shops.MODULE}.Deposited"]
    assert deposit["after_ms"] is not None


def test_from_an_event_its_causes_are_shown_back_to_the_first_and_their_other_consequences_are_counted(
    hms: Hms, shop_log: str
) -> None:
    deposited = find(traced(hms, shop_log, "order-2"), ".Deposited")
    root = traced(hms, shop_log, deposited["id"])
    assert steps(root) == [("message", "Transfer"), ("message", "Deposit"), ("event", "Deposited")]
    assert root["left_out"] >= 2
    assert [one["asked_for"] for one in _below(root)] == [False, True]
    whole = traced(hms, shop_log, deposited["id"], "--whole")
    assert len(steps(whole)) > len(steps(root))


def test_what_a_timer_led_to_goes_back_over_the_timer_to_who_set_it(hms: Hms, shop_log: str) -> None:
    reminded = [one for one in events(hms, shop_log, "account/anna") if one["envelope"]["type"].endswith("Reminded")]
    root = traced(hms, shop_log, str(reminded[-1]["envelope"]["id"]))
    path = [("message", "Transfer"), ("event", "hms.TimerSet"), ("timer", "timer remind")]
    assert steps(root)[:3] == path
    assert set(steps(root)[3:]) == {("event", "hms.TimerFired"), ("event", "Reminded")}


def test_a_message_that_could_not_be_handled_leads_to_its_dead_letter(hms: Hms, shop_log: str) -> None:
    root = traced(hms, shop_log, "crash")
    assert root["verdict"] == "failed"
    (letter,) = root["consequences"]
    assert letter["kind"] == "dead letter"
    assert "boom" in letter["data"]["detail"]


def test_a_refusal_is_told_by_its_verdict_and_its_answer(hms: Hms, shop_log: str) -> None:
    root = traced(hms, shop_log, "too-much")
    assert root["verdict"] == "refused"
    assert steps(root)[1:] == [("message", "hms.MessageRefused")]


def test_a_limit_leaves_out_what_is_beyond_it_and_counts_it(hms: Hms, shop_log: str) -> None:
    root = traced(hms, shop_log, "order-1", "--limit", "3")
    assert len(steps(root)) <= 4
    assert sum(one["left_out"] for one in [root, *_below(root)]) > 0


def test_what_the_decision_led_to_that_an_event_came_out_of_is_what_the_event_led_to(hms: Hms, shop_log: str) -> None:
    withdrawn = find(traced(hms, shop_log, "order-1"), ".Withdrawn")
    root = traced(hms, shop_log, withdrawn["id"])
    assert ("event", "Deposited") in steps(root), "the other account's, by a message that was sent with the event"


@pytest.mark.parametrize("id_", ["", " "])
def test_no_id_is_no_id(hms: Hms, shop_log: str, id_: str) -> None:
    code, _, err = hms("event", "trace", id_, "--log", shop_log)
    assert code == 2
    assert "expected an id" in err


def test_an_id_that_nothing_has_is_not_found(hms: Hms, shop_log: str) -> None:
    code, _, err = hms("event", "trace", "no-such-id", "--log", shop_log)
    assert code == 3
    assert "no record has the id" in err


def test_the_page_is_one_file_that_needs_nothing_else(hms: Hms, shop_log: str) -> None:
    _, page, _ = hms("event", "trace", "order-1", "--log", shop_log, "-o", "html")
    assert not re.search(r"(src|href)=|https?://|@import|url\(", page)
    body = page[page.index("<body>") : page.index("</html>")]
    ET.fromstring(body)  # noqa: S314 - our own page: every tag is closed
    assert f"{shops.MODULE}.Withdrawn" in page


def test_the_graph_names_every_step_and_its_cause(hms: Hms, shop_log: str) -> None:
    _, dot, _ = hms("event", "trace", "order-1", "--log", shop_log, "-o", "dot")
    nodes, edges = re.findall(r"^  n\d+ \[", dot, re.MULTILINE), re.findall(r"^  n\d+ -> n\d+", dot, re.MULTILINE)
    assert len(nodes) == len(edges) + 1 > 5
    assert dot.startswith("digraph")


@pytest.mark.parametrize("form", ["text", "json", "dot", "html"])
def test_promise_8_a_trace_writes_nothing(hms: Hms, shop_log: str, form: str) -> None:
    before = shops.marks_of(shop_log)
    assert hms("event", "trace", "order-1", "--log", shop_log, "-o", form)[0] == 0
    assert shops.marks_of(shop_log) == before


@pytest.mark.parametrize("command", [("incident", "list"), ("incident", "show", "none")])
def test_promise_8_looking_at_incidents_writes_nothing(hms: Hms, shop_log: str, command: tuple[str, ...]) -> None:
    before = shops.marks_of(shop_log)
    code, _, err = hms(*command, "--log", shop_log)
    assert code == (0 if "list" in command else 3), err
    assert shops.marks_of(shop_log) == before
