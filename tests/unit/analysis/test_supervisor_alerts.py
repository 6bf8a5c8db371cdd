"""Alerts: acknowledged, and silenced for a time."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hms.actors.analysis.supervisor import analysis_supervisor
from hms.actors.analysis.supervisor.state import ALERTS_MAX
from hms.core.testing.given import EPOCH
from hms.schemas.analysis import AcknowledgeAlert, AnomalyDetection, LookNow, SilenceAlerts
from hms.schemas.analysis_look import LookTaken, Onset, SeriesName

MINUTE_MS = 60_000


@pytest.fixture
def analyst(desk: Callable[[Any], Any]) -> Any:
    return desk(analysis_supervisor)


def looked(analyst: Any, *onsets: Onset, lasting: tuple[str, ...] = ()) -> None:
    analyst.tell(LookNow())
    look = analyst.state.look
    found = LookTaken(
        look=look.number,
        as_of=look.as_of,
        positions=(),
        behind=False,
        samples=1,
        series=1,
        left_out=0,
        cpu_ms=1,
        onsets=onsets,
        lasting=tuple(SeriesName(component="web", metric=metric) for metric in lasting),
    )
    analyst.tell(found)


def onset(metric: str = "load", minute: int = 0) -> Onset:
    at = EPOCH + timedelta(minutes=minute)
    return Onset(component="web", metric=metric, at=at, value=9.0, score=0.8)


def told(analyst: Any) -> list[str]:
    return [one.metric for one in analyst.sent_to("topic/analysis", AnomalyDetection)]


def test_what_renews_itself_is_the_same_alert_told_again(analyst: Any) -> None:
    looked(analyst, onset(), lasting=("load",))
    looked(analyst, onset(minute=9), lasting=("load",))
    [alert] = analyst.state.alerts.values()
    assert (alert.times, told(analyst)) == (2, ["load", "load"])


def test_an_acknowledged_alert_is_told_no_more_while_it_lasts(analyst: Any) -> None:
    looked(analyst, onset(), lasting=("load",))
    [alert] = analyst.state.alerts.values()
    answer = analyst.tell(AcknowledgeAlert(alert_id=alert.id, note="known"), "client/anna").reply
    assert (answer.acknowledged_by, answer.note) == ("client/anna", "known")
    looked(analyst, onset(minute=9), lasting=("load",))
    assert told(analyst) == ["load"]
    looked(analyst)
    looked(analyst, onset(minute=99), lasting=("load",))
    assert told(analyst) == ["load", "load"]


def test_the_first_acknowledgement_counts(analyst: Any) -> None:
    looked(analyst, onset(), lasting=("load",))
    [alert] = analyst.state.alerts.values()
    analyst.tell(AcknowledgeAlert(alert_id=alert.id), "client/anna")
    assert analyst.tell(AcknowledgeAlert(alert_id=alert.id), "client/bert").reply.acknowledged_by == "client/anna"


def test_an_alert_that_there_is_not_is_refused(analyst: Any) -> None:
    assert analyst.tell(AcknowledgeAlert(alert_id="x")).refusal.code == "alert_not_found"


def test_under_a_silence_alerts_are_kept_and_told_to_nobody(analyst: Any) -> None:
    analyst.tell(SilenceAlerts(component="web", metric="load", for_ms=MINUTE_MS))
    looked(analyst, onset(), onset("queue"), lasting=("load", "queue"))
    assert told(analyst) == ["queue"]
    assert {one.metric: one.silenced for one in analyst.state.alerts.values()} == {"load": True, "queue": False}


def test_what_lasts_when_a_silence_is_over_is_told_then(analyst: Any) -> None:
    analyst.tell(SilenceAlerts(component="web", for_ms=MINUTE_MS))
    looked(analyst, onset(), onset("queue"), lasting=("load", "queue"))
    looked(analyst, lasting=("load",))
    assert told(analyst) == []
    analyst.advance(MINUTE_MS)
    assert told(analyst) == ["load"]
    assert analyst.state.silences == {}


def test_what_another_silence_covers_stays_silent(analyst: Any) -> None:
    analyst.tell(SilenceAlerts(component="web", for_ms=MINUTE_MS))
    analyst.tell(SilenceAlerts(metric="load", for_ms=2 * MINUTE_MS))
    looked(analyst, onset(), lasting=("load",))
    analyst.advance(MINUTE_MS)
    assert told(analyst) == []
    analyst.advance(MINUTE_MS)
    assert told(analyst) == ["load"]


def test_so_many_alerts_are_remembered_the_oldest_ended_ones_go_first(analyst: Any) -> None:
    looked(analyst, onset("first"), lasting=("first",))
    for number in range(ALERTS_MAX):
        looked(analyst, onset(f"m{number}"), lasting=("first",))
    assert len(analyst.state.alerts) == ALERTS_MAX
    assert [one.metric for one in analyst.state.open_alerts()] == ["first"]
