"""The ranking of an incident's causes: what is counted besides the metrics."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hms.actors.analysis.causes import CallGraph
from hms.actors.analysis.looking.causing import with_symptoms
from hms.replay.incidents.book import Incident

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def seen_at(component: str, symptom: str = "rss_mb is 106, more than 80") -> Incident:
    return Incident("one", "illness", component, "group", 1, symptom, 0, "")


def exits(*components: str) -> list[dict[str, Any]]:
    return [
        {"component": component, "exited_at": NOON + timedelta(seconds=second), "cause": "killed by KILL"}
        for second, component in enumerate(components)
    ]


def order(graph: CallGraph, incident: Incident, *ended: str) -> list[str]:
    return [one.component for one in with_symptoms([], graph, incident, exits(*ended))]


def test_where_it_was_seen_comes_before_exits_that_have_nothing_to_do_with_it() -> None:
    assert order(CallGraph([("web", "cache")]), seen_at("queue"), "cache", "web") == ["queue", "cache", "web"]


def test_a_component_that_it_depends_on_and_that_ended_comes_before_where_it_was_seen() -> None:
    graph = CallGraph([("web", "shop"), ("shop", "store")])
    assert order(graph, seen_at("web"), "store") == ["store", "web"]


def test_the_first_of_several_exits_comes_first() -> None:
    graph = CallGraph([("web", "store")])
    assert order(graph, seen_at("web"), "store", "web") == ["store", "web"]


def test_the_evidence_says_what_was_seen_and_how_each_ended() -> None:
    first, second = with_symptoms([], CallGraph([("web", "store")]), seen_at("web", "no answer"), exits("store"))
    assert first.evidence == [
        {"what": "exit", "place": 1, "of": 1, "at": "2026-03-01T12:00:00+00:00", "cause": "killed by KILL"}
    ]
    assert second.evidence == [{"what": "symptom", "cause": "no answer"}]
