"""The queries that have a name: the plan's figures, on histories whose figures are known."""

import asyncio
from datetime import datetime

import pytest

from hms.core.log.open import open_log
from hms.core.log.port import HIGH, NORMAL, OUTBOX
from hms.replay.sql.errors import QueryRefused
from hms.replay.sql.named_query import named, parse, shipped
from hms.schemas.component_events import ComponentStarted
from hms.schemas.component_reports import ComponentHeartbeat
from hms.schemas.recovery_event import IncidentClosed, IncidentOpened
from hms.schemas.task import CancelTask, TaskStatus

from .written import AT_US, Writer, instant, rows, session_on

LONG_AGO = {"since": "2020-01-01T00:00:00Z"}


def values(name: str, **given: str) -> dict[str, object]:
    return named(name).values({**LONG_AGO, **given}, lambda text: text)


def opened(number: int, at: datetime) -> IncidentOpened:
    return IncidentOpened(
        incident_id=f"i{number}", component_id="web", group_id="g", incarnation=1, status="critical", message="", at=at
    )


def closed(number: int, result: str, duration_ms: int) -> IncidentClosed:
    return IncidentClosed(incident_id=f"i{number}", component_id="web", result=result, duration_ms=duration_ms)


def test_every_query_that_comes_with_hms_answers_on_an_empty_log() -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        async with session_on(log) as session:
            for query in shipped():
                assert query.what
                await rows(session, query.sql, query.values({}, lambda _: "2020-01-01T00:00:00Z"))
        await log.close()

    names = {query.name for query in shipped()}
    assert names >= {"mttr", "auto-recovery-rate", "telemetry-coverage", "request-latency"}
    asyncio.run(main())


def test_recovery_times_and_rates_count_what_ended_well() -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        writer = Writer(log)
        for number, (result, duration_ms) in enumerate([("healed", 1_000), ("healthy", 3_000), ("given_up", 9_000)]):
            await writer.write("hms.IncidentOpened", opened(number, instant(AT_US + number)))
            await writer.write("hms.IncidentClosed", closed(number, result, duration_ms))
        await writer.write("hms.IncidentOpened", opened(7, instant(AT_US + 7)))
        async with session_on(log) as session:
            (all_, web) = await rows(session, named("mttr").sql, values("mttr"))
            assert (all_["component"], all_["recovered"], all_["mttr_s"], all_["longest_s"]) == ("(all)", 2, 2.0, 3.0)
            assert web["component"] == "web"
            (rate, _) = await rows(session, named("auto-recovery-rate").sql, values("auto-recovery-rate"))
            assert (rate["ended"], rate["recovered"], rate["not_recovered"], rate["still_open"]) == (3, 2, 1, 1)
            assert rate["rate_percent"] == 66.67
        await log.close()

    asyncio.run(main())


def test_latency_is_from_a_request_to_its_answer() -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        writer = Writer(log)
        request = {"source": "client/a", "destination": "meta_supervisor/main", "reply_to": "client/a/1"}
        await writer.write("hms.CancelTask", CancelTask(task_id="t"), topic=NORMAL, **request)
        await writer.write("hms.CancelTask", CancelTask(task_id="u"), topic=NORMAL, **request)
        answer = TaskStatus(id="t", type="x", status="cancelled", priority="normal", submitted_at=instant(AT_US))
        reply = {"source": "meta_supervisor/main", "destination": "client/a/1", "causation_id": "hms.CancelTask-1"}
        await writer.write("hms.TaskStatus", answer, topic=OUTBOX, **reply)
        async with session_on(log) as session:
            (all_, one) = await rows(session, named("request-latency").sql, values("request-latency"))
            assert (all_["requests"], all_["unanswered"]) == (2, 1)
            assert one["request"] == "hms.CancelTask"
            assert one["p95_ms"] >= 0
        await log.close()

    asyncio.run(main())


def test_coverage_is_the_share_of_samples_that_came() -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        writer = Writer(log)
        started = ComponentStarted(
            incarnation=1, attempt=0, pid=1, start_ticks=1, boot_id="b", session=1, sequence=1, at=instant(AT_US)
        )
        await writer.write("hms.ComponentStarted", started, source="component/web")
        beat = ComponentHeartbeat(incarnation=1, pid=1, rss_mb=1.0)
        await writer.write("hms.ComponentHeartbeat", beat, beat, topic=HIGH, source="component/web")
        async with session_on(log) as session:
            given = values("telemetry-coverage", period_s="100000000")  # so long that few are expected
            (all_, web) = await rows(session, named("telemetry-coverage").sql, given)
            assert web["component"] == "web"
            assert all_["came"] == min(2, all_["expected"])
        await log.close()

    asyncio.run(main())


def test_a_query_says_what_it_takes_and_refuses_the_rest() -> None:
    query = parse("mine", "-- What it is for\n-- param least number  how many\n-- param who text %  whose\nSELECT 1")
    assert query.what == "What it is for"
    assert [(one.name, one.kind, one.default) for one in query.parameters] == [
        ("least", "number", None),
        ("who", "text", "%"),
    ]
    assert query.values({"least": "2.5"}, str) == {"least": 2.5, "who": "%"}
    with pytest.raises(QueryRefused, match="mine needs --param least"):
        query.values({}, str)
    with pytest.raises(QueryRefused, match="expected a number for least, got 'x'"):
        query.values({"least": "x"}, str)
    with pytest.raises(QueryRefused, match="it takes least, who"):
        query.values({"most": "1"}, str)
    with pytest.raises(QueryRefused, match="no query 'nothing'; there are auto-recovery-rate"):
        named("nothing")
