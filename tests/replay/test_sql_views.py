"""A view per record type, whatever schema wrote the records, over the log as it is when it is asked."""

import asyncio
from datetime import datetime

import pytest

from hms.core.log.open import open_log
from hms.core.log.port import EVENTS, HIGH, Draft
from hms.replay.sql.catalog import Catalog, own_schemas, view_name
from hms.replay.sql.errors import QueryRefused
from hms.schemas import Event, encode_long, encode_text
from hms.schemas.component_reports import ComponentHeartbeat
from hms.schemas.recovery_event import GroupRecoverySeen, IncidentClosed, IncidentOpened
from hms.schemas.task_event import TaskAssigned, TaskReady

from .written import AT_US, Writer, instant, loaded, rows, session_on


class Deposited(Event):
    cents: int


class DepositedNow(Event):
    cents: int
    currency: str = "EUR"


class Weighed(Event):
    kilos: int


class WeighedNow(Event):
    kilos: float


def test_a_type_of_a_user_s_app_has_a_view_under_the_app_s_name_and_under_its_own() -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        await Writer(log).write("bank.Deposited", Deposited(cents=7), source="account/anna")
        async with session_on(log) as session:
            (row,) = await rows(session, "SELECT * FROM bank.deposited")
            assert (row["record_key"], row["cents"], row["envelope"]["source"]) == ("account/anna", 7, "account/anna")
            assert row["envelope"]["sent_at"] == instant(AT_US + 1)
            assert await rows(session, "SELECT cents FROM deposited") == [{"cents": 7}]
        await log.close()

    asyncio.run(main())


def test_an_absent_type_is_an_empty_view_with_its_columns() -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        async with session_on(log) as session:
            assert await rows(session, "SELECT * FROM component_exited") == []
            described = await rows(session, "DESCRIBE component_exited")
            assert [row["column_name"] for row in described] == [
                *("topic", "shard", "position", "appended_at", "record_key", "envelope"),
                *("exit", "session", "sequence", "headers", "bytes"),
            ]
            types = {row["column_name"]: row["column_type"] for row in described}
            assert types["session"] == "BIGINT"
            assert types["appended_at"] == "TIMESTAMP WITH TIME ZONE"
            with pytest.raises(QueryRefused, match="nothing_like_it"):
                await rows(session, "SELECT * FROM nothing_like_it")
        await log.close()

    asyncio.run(main())


def test_records_from_before_a_field_existed_show_its_default() -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        writer = Writer(log)
        await writer.write("bank.Deposited", Deposited(cents=1))
        await writer.write("bank.Deposited", DepositedNow(cents=2, currency="CHF"))
        async with session_on(log) as session:
            found = await rows(session, "SELECT cents, currency FROM bank.deposited ORDER BY cents")
            assert found == [{"cents": 1, "currency": "EUR"}, {"cents": 2, "currency": "CHF"}]
        await log.close()

    asyncio.run(main())


def test_a_field_whose_type_became_wider_keeps_every_value() -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        writer = Writer(log)
        await writer.write("scale.Weighed", Weighed(kilos=2), WeighedNow(kilos=1.5))
        async with session_on(log) as session:
            found = await rows(session, "SELECT kilos FROM weighed ORDER BY kilos")
            assert found == [{"kilos": 1.5}, {"kilos": 2.0}]
        await log.close()

    asyncio.run(main())


def test_a_renamed_field_and_a_renamed_type_are_one_column_and_one_view() -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        writer = Writer(log)
        old = {"type": "record", "name": "shop.Paid", "fields": [{"name": "amount", "type": "long"}]}
        field = {"name": "cents", "type": "long", "aliases": ["amount"]}
        new = {"type": "record", "name": "shop.Settled", "aliases": ["Paid"], "fields": [field]}
        await writer.write_foreign(old, encode_long(5))
        await writer.write_foreign({**old, "fields": [field]}, encode_long(6))
        await writer.write_foreign(new, encode_long(7))
        async with session_on(log) as session:
            assert await rows(session, "SELECT cents FROM shop.paid ORDER BY 1") == [{"cents": 5}, {"cents": 6}]
            settled = await rows(session, "SELECT cents FROM shop.settled ORDER BY 1")
            assert settled == [{"cents": 5}, {"cents": 6}, {"cents": 7}]
            columns = [row["column_name"] for row in await rows(session, "DESCRIBE shop.settled")]
            assert "amount" not in columns
        await log.close()

    asyncio.run(main())


def test_fields_with_names_that_sql_reserves_need_no_quotes() -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        schema = {
            "type": "record",
            "name": "shop.Odd",
            "fields": [{"name": "at", "type": "string"}, {"name": "offset", "type": "long"}],
        }
        await Writer(log).write_foreign(schema, encode_text("noon") + encode_long(3))
        async with session_on(log) as session:
            assert await rows(session, "SELECT at_, offset_ FROM odd") == [{"at_": "noon", "offset_": 3}]
            (row,) = await rows(session, "SELECT data FROM events")
            assert loaded(row["data"]) == {"at": "noon", "offset": 3}
        await log.close()

    asyncio.run(main())


def test_events_and_messages_hold_every_type_in_one_form() -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        writer = Writer(log)
        await writer.write("bank.Deposited", Deposited(cents=1), DepositedNow(cents=2))
        await writer.write("bank.Weighed", Weighed(kilos=3))
        beat = ComponentHeartbeat(incarnation=1, pid=2, cpu_percent=3.0, rss_mb=4.0)
        await writer.write("hms.ComponentHeartbeat", beat, topic=HIGH, source="component/web")
        async with session_on(log) as session:
            counted = await rows(session, "SELECT type, count(*) AS n FROM events GROUP BY type ORDER BY type")
            assert counted == [{"type": "bank.Deposited", "n": 2}, {"type": "bank.Weighed", "n": 1}]
            (row,) = await rows(session, "SELECT type, destination, topic, data FROM messages")
            assert (row["type"], row["destination"], row["topic"]) == ("hms.ComponentHeartbeat", "component/web", HIGH)
            samples = await rows(
                session, "SELECT component, metric, sampled_at, value FROM metric_samples ORDER BY metric"
            )
            at = instant(AT_US + 4)
            assert samples == [
                {"component": "web", "metric": "cpu_percent", "sampled_at": at, "value": 3.0},
                {"component": "web", "metric": "rss_mb", "sampled_at": at, "value": 4.0},
            ]
        await log.close()

    asyncio.run(main())


def test_every_question_is_asked_of_the_log_as_it_is_then() -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        writer = Writer(log)
        await writer.write("bank.Deposited", Deposited(cents=1))
        async with session_on(log) as session:
            first = await session.ask("SELECT sum(cents) AS sum FROM deposited")
            assert [row async for batch in first.batches for row in batch.to_pylist()] == [{"sum": 1}]
            assert not await session.changed(first.as_of, 1)
            for _ in range(20):  # so many that what is live is brought together
                await writer.write("bank.Deposited", Deposited(cents=1))
                count = (await rows(session, "SELECT count(*) AS n FROM deposited"))[0]["n"]
            assert count == 21
            assert await session.changed(first.as_of, 1)
            await writer.write("news.Weighed", Weighed(kilos=3))  # of a type that was not there when the session began
            assert await rows(session, "SELECT kilos FROM news.weighed") == [{"kilos": 3}]
        await log.close()

    asyncio.run(main())


def test_what_cannot_be_read_is_in_a_view_of_its_own() -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        await log.append([Draft(EVENTS, 0, b"counter/a", b"nonsense"), Draft(EVENTS, 0, b"\xff", b"\0\0\0\0\1more")])
        async with session_on(log) as session:
            found = await rows(session, "SELECT record_key, reason, bytes FROM unreadable ORDER BY position")
            assert [row["bytes"] for row in found] == [b"nonsense", b"\0\0\0\0\1more"]
            assert await rows(session, "SELECT * FROM events") == []
        await log.close()

    asyncio.run(main())


def _opened(number: int, at: datetime) -> IncidentOpened:
    return IncidentOpened(
        incident_id=f"i{number}",
        component_id="web",
        group_id="g",
        incarnation=number,
        status="unhealthy",
        message="",
        at=at,
    )


def _seen(number: int, stage: str, outcome: str) -> GroupRecoverySeen:
    return GroupRecoverySeen(
        recovery_id=f"r{number}", component_id="db", group_id="g", incarnation=number, stage=stage, decision="restart",
        outcome=outcome, cause="exited", duration_ms=250,
    )  # fmt: skip


def test_incidents_are_illnesses_and_exits_with_their_ends() -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        writer = Writer(log)
        await writer.write("hms.IncidentOpened", _opened(1, instant(AT_US)), _opened(2, instant(AT_US + 9_000_000)))
        closed = IncidentClosed(incident_id="i1", component_id="web", result="healed", duration_ms=1_500)
        await writer.write("hms.IncidentClosed", closed)
        await writer.write("hms.GroupRecoverySeen", _seen(1, "initiated", ""), _seen(1, "completed", "healed"))
        async with session_on(log) as session:
            sql = "SELECT incident_id, component_id, result, duration_ms FROM incidents ORDER BY incident_id"
            assert [tuple(row.values()) for row in await rows(session, sql)] == [
                ("i1", "web", "healed", 1_500),
                ("i2", "web", "open", None),
                ("r1", "db", "healed", 250),
            ]
        await log.close()

    asyncio.run(main())


def test_a_task_s_transitions_say_what_came_before() -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        writer = Writer(log)
        await writer.write("hms.TaskReady", TaskReady(task_id="t"))
        await writer.write("hms.TaskAssigned", TaskAssigned(task_id="t", supervisor_id="s", attempt=1))
        async with session_on(log) as session:
            sql = "SELECT from_status, status, supervisor_id FROM task_transitions ORDER BY changed_at"
            assert [tuple(row.values()) for row in await rows(session, sql)] == [
                (None, "ready", None),
                ("ready", "assigned", "s"),
            ]
        await log.close()

    asyncio.run(main())


def test_every_type_of_hms_has_a_view_and_no_two_have_one_name() -> None:
    catalog = Catalog((), own_schemas())
    assert str(catalog.kinds["hms.ComponentExited"].view) == "component_exited"
    assert str(view_name("bank.HTTPServerStarted")) == "bank.http_server_started"
    names = [kind.view for kind in catalog.kinds.values()]
    assert len(set(names)) == len(names)
    assert all(catalog.find("", kind.view.name) is kind for kind in catalog.kinds.values())


def test_show_tables_lists_the_views_and_nothing_below_them() -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        await Writer(log).write("bank.Deposited", Deposited(cents=1))
        async with session_on(log) as session:
            names = [f"{row['app']}.{row['name']}" for row in await rows(session, "SHOW TABLES")]
            assert {"main.incidents", "main.component_exited", "bank.deposited", "main.events"} <= set(names)
            assert not [name for name in names if "shape" in name or "live" in name]
        await log.close()

    asyncio.run(main())
