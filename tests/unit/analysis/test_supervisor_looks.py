"""The analysis supervisor's looks: when it asks for one, and what it tells of what one has found."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from hms.actors.analysis.supervisor import analysis_supervisor
from hms.actors.analysis.supervisor.looks import TOLD_MAX
from hms.core.runtime.records import EffectFailed
from hms.core.testing.given import EPOCH
from hms.schemas.administrative import (
    StartSupervision,
    StopSupervision,
    SupervisorConfiguration,
    SupervisorRegistration,
)
from hms.schemas.analysis import (
    AnalysisResult,
    AnomalyDetection,
    Evidence,
    ImprovementOpportunity,
    LookNow,
    PatternDetection,
    TrendDetection,
)
from hms.schemas.analysis_event import LookAsked, LookFailed, TrendEnded
from hms.schemas.analysis_look import Heading, LookTaken, Onset, Opportunity, Pattern, PlaceEnd, SeriesName

TOPIC = "topic/analysis"
PLACES = (PlaceEnd(topic="hms.events", shard=0, next=7),)
ONSET = Onset(component="web", metric="load", at=EPOCH, value=80.0, score=0.9)
LASTS = (SeriesName(component="web", metric="load"),)
RISE = Heading(
    component="web", metric="rss_mb", direction="up", slope=1.0, change=90.0, level=100.0, p=0.001, buckets=100
)
EVIDENCE = Evidence(query="SELECT 1", from_at=EPOCH, until=EPOCH, rows=1, rows_json="[]")


@pytest.fixture
def analyst(desk: Callable[[Any], Any]) -> Any:
    actor = desk(analysis_supervisor)
    actor.tell(StartSupervision())
    return actor


def looked(analyst: Any, **found: Any) -> None:
    """Ask for a look, and let it find this."""
    analyst.tell(LookNow())
    look = analyst.state.look
    fields = {"behind": False, "samples": 10, "series": 2, "left_out": 0, "cpu_ms": 5, "positions": PLACES, **found}
    analyst.tell(LookTaken(look=look.number, as_of=look.as_of, **fields))


def told(analyst: Any, kind: type[Any]) -> list[Any]:
    return list(analyst.sent_to(TOPIC, kind))


def asked(analyst: Any) -> list[LookAsked]:
    return [event for event in analyst.events if isinstance(event, LookAsked)]


def test_it_registers_for_analysis_tasks_and_looks_at_nothing_until_told(analyst: Any) -> None:
    [registration] = analyst.sent_to("meta_supervisor/main", SupervisorRegistration)
    assert registration.capabilities == ("Analysis",)
    analyst.advance(86_400_000)
    assert asked(analyst) == []


def test_with_a_period_it_looks_at_once_and_again_and_again(analyst: Any) -> None:
    analyst.tell(SupervisorConfiguration(settings={"look_every_ms": "60000"}))
    analyst.advance(0)
    assert [look.as_of for look in asked(analyst)] == [EPOCH]
    analyst.tell(
        LookTaken(look=1, as_of=EPOCH, positions=PLACES, behind=False, samples=0, series=0, left_out=0, cpu_ms=1)
    )
    analyst.advance(60_000)
    assert [(look.look, look.since) for look in asked(analyst)] == [(1, ()), (2, PLACES)]
    assert asked(analyst)[1].as_of == EPOCH + timedelta(minutes=1)


def test_one_look_is_under_way_at_a_time(analyst: Any) -> None:
    analyst.tell(LookNow())
    analyst.tell(LookNow())
    assert len(asked(analyst)) == 1


def test_a_look_that_is_behind_goes_on_soon(analyst: Any) -> None:
    looked(analyst, behind=True)
    analyst.advance(500)
    assert len(asked(analyst)) == 2


def test_a_look_that_fails_is_reported_and_the_next_one_begins_where_the_last_good_one_ended(analyst: Any) -> None:
    looked(analyst)
    analyst.tell(LookNow())
    analyst.tell(EffectFailed(effect="e", event="hms.LookAsked", error="no memory"))
    assert LookFailed(look=2, reason="no memory") in analyst.events
    assert (analyst.state.last_look.error, analyst.state.positions) == ("no memory", PLACES)
    looked(analyst)
    assert asked(analyst)[-1].since == PLACES
    assert analyst.state.last_look.error == ""


def test_what_comes_of_a_look_that_is_not_under_way_changes_nothing(analyst: Any) -> None:
    looked(analyst)
    before = analyst.state
    analyst.tell(LookTaken(look=1, as_of=EPOCH, positions=(), behind=False, samples=1, series=1, left_out=0, cpu_ms=1))
    assert analyst.state == before


def test_an_onset_is_told_once_while_the_anomaly_lasts(analyst: Any) -> None:
    looked(analyst, onsets=(ONSET,), lasting=LASTS)
    looked(analyst, lasting=LASTS)
    [detection] = told(analyst, AnomalyDetection)
    assert (detection.component, detection.metric, detection.value, detection.score) == ("web", "load", 80.0, 0.9)
    [alert] = analyst.state.open_alerts()
    assert alert.id == detection.alert_id
    looked(analyst)
    assert analyst.state.open_alerts() == []


def test_a_trend_is_told_when_it_begins_and_when_it_turns(analyst: Any) -> None:
    looked(analyst, headings=(RISE,))
    looked(analyst, headings=(RISE,))
    looked(analyst, headings=(RISE.model_copy(update={"direction": "down"}),))
    assert [one.direction for one in told(analyst, TrendDetection)] == ["up", "down"]


def test_a_trend_that_is_over_may_be_told_again(analyst: Any) -> None:
    looked(analyst, headings=(RISE,))
    looked(analyst, behind=True)
    looked(analyst)
    looked(analyst, headings=(RISE,))
    assert len(told(analyst, TrendDetection)) == 2
    assert sum(isinstance(event, TrendEnded) for event in analyst.events) == 1


def test_trends_that_do_not_fit_into_a_message_are_not_taken_for_ended(analyst: Any) -> None:
    looked(analyst, headings=(RISE,))
    looked(analyst, headings_left_out=1)
    assert not any(isinstance(event, TrendEnded) for event in analyst.events)


def test_of_a_flood_a_part_is_told_and_the_rest_after_the_next_look(analyst: Any) -> None:
    rises = tuple(RISE.model_copy(update={"component": f"c{number}"}) for number in range(TOLD_MAX + 50))
    looked(analyst, headings=rises)
    assert len(told(analyst, TrendDetection)) == TOLD_MAX
    looked(analyst, headings=rises)
    assert len(told(analyst, TrendDetection)) == TOLD_MAX + 50


@pytest.mark.parametrize(("minutes", "times"), [(0, 1), (15, 1), (20, 2)])
def test_a_shift_is_told_again_when_it_is_another_one(analyst: Any, minutes: int, times: int) -> None:
    def shift(at: datetime) -> Pattern:
        return Pattern(component="web", metric="load", pattern="level_shift", at=at, before=1.0, after=2.0)

    looked(analyst, patterns=(shift(EPOCH),))
    looked(analyst, patterns=(shift(EPOCH + timedelta(minutes=minutes)),))
    assert len(told(analyst, PatternDetection)) == times


def test_an_opportunity_is_told_with_its_evidence_once_a_day(analyst: Any) -> None:
    found = Opportunity(name="restarts-often", component="web", summary="web: restarted", evidence=EVIDENCE)
    looked(analyst, opportunities=(found,))
    analyst.advance(3_600_000)
    looked(analyst, opportunities=(found,))
    [opportunity] = told(analyst, ImprovementOpportunity)
    assert (opportunity.name, opportunity.evidence) == ("restarts-often", EVIDENCE)
    analyst.advance(86_400_000)
    looked(analyst, opportunities=(found,))
    assert len(told(analyst, ImprovementOpportunity)) == 2


def test_opportunities_are_sought_once_an_hour(analyst: Any) -> None:
    looked(analyst, opportunities=())
    analyst.advance(60_000)
    looked(analyst)
    analyst.advance(3_600_000)
    looked(analyst)
    assert [look.seek for look in asked(analyst)] == [True, False, True]


def test_a_look_that_found_something_ends_with_a_result(analyst: Any) -> None:
    looked(analyst)
    looked(analyst, onsets=(ONSET,), lasting=LASTS)
    [result] = told(analyst, AnalysisResult)
    assert result.summary == "1 new in 10 samples of 2 series"


def test_when_the_fleet_ends_it_looks_no_more(analyst: Any) -> None:
    analyst.tell(SupervisorConfiguration(settings={"look_every_ms": "60000"}))
    analyst.tell(StopSupervision(reason="hms up ends"))
    analyst.advance(3_600_000)
    assert asked(analyst) == []


@pytest.mark.parametrize("settings", [{"look_every": "1"}, {"look_every_ms": "-1"}, {"samples_max": "1"}])
def test_a_setting_that_there_is_not_is_refused_with_those_that_there_are(
    analyst: Any, settings: dict[str, str]
) -> None:
    decision = analyst.tell(SupervisorConfiguration(settings=settings))
    assert decision.refusal.code == "validation_error"
    assert next(iter(settings)) in decision.refusal.reason
