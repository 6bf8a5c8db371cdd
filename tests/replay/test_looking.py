"""Looks at a log: what they find, that live and in retrospect are one, and what they may take."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from hms.actors.analysis.anomaly import score_series
from hms.actors.analysis.looking.causing import call_graph
from hms.actors.analysis.looking.detection import Detection
from hms.actors.analysis.looking.looking import Looking
from hms.actors.analysis.looking.report import Wanted, make_report, summary
from hms.actors.app import hms_app
from hms.core.client import connect
from hms.core.log.open import open_log
from hms.core.log.port import Log
from hms.core.runtime.node import Node
from hms.replay.history import History
from hms.schemas.analysis_event import AnalysisTaskAccepted, CausesAsked, LookAsked, MetricsAsked
from hms.schemas.analysis_look import AnalysisFound, LookTaken, MetricsFound, PlaceEnd
from hms.schemas.component import Exit
from hms.schemas.component_events import ComponentExited, ComponentStartRequested
from hms.schemas.fleet import ComponentSpec, FleetSpec, GroupSpec
from hms.schemas.fleet_messages import ApplyFleet
from hms.schemas.recovery_event import GroupRecoverySeen
from hms.schemas.telemetry import Sample, SamplesImported

from .written import Writer

BEGIN = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
MINUTE = timedelta(minutes=1)


def course(count: int, seed: int = 1, spikes: Sequence[int] = (), rise: float = 0.0) -> list[float]:
    random = np.random.default_rng(seed)
    values = 20 + np.arange(count) % 7 + random.normal(0, 0.5, count) + rise * np.arange(count)
    values[list(spikes)] += 60
    return [float(value) for value in values]


def samples(values: Sequence[float | None], begin: datetime = BEGIN) -> tuple[Sample, ...]:
    return tuple(Sample(at=begin + number * MINUTE, value=value) for number, value in enumerate(values))


async def put(writer: Writer, component: str, metric: str, values: Sequence[float | None], batch: int = 250) -> None:
    given = samples(values)
    parts = [given[start : start + batch] for start in range(0, len(given), batch)]
    events = [SamplesImported(component=component, metric=metric, samples=part) for part in parts]
    await writer.write("hms.SamplesImported", *events, source=f"telemetry/{component}")


@asynccontextmanager
async def desk() -> AsyncIterator[tuple[Log, Writer, Looking]]:
    log = await open_log("simulated:")
    looking = Looking(log, None)
    await looking.session.__aenter__()
    try:
        yield log, Writer(log), looking
    finally:
        await looking.close()


def asked(look: int = 1, since: tuple[PlaceEnd, ...] = (), **changes: Any) -> LookAsked:
    fields = {
        "bucket_ms": 300_000,
        "series_max": 100,
        "samples_max": 100_000,
        "cpu_ms": 60_000,
        "seek": False,
        "as_of": datetime.now(UTC) + timedelta(seconds=1),
        **changes,
    }
    return LookAsked(look=look, since=since, **fields)


def test_onsets_live_over_many_looks_are_those_in_retrospect_bit_for_bit() -> None:
    async def main() -> list[Any]:
        values = course(2_000, spikes=(700, 1_500))
        found = []
        async with desk() as (_, writer, looking):
            since: tuple[PlaceEnd, ...] = ()
            for number, start in enumerate(range(0, 2_000, 400), 1):
                part = samples(values, BEGIN)[start : start + 400]
                event = SamplesImported(component="web", metric="load", samples=part)
                await writer.write("hms.SamplesImported", event, source="telemetry/web")
                taken = await looking.look(asked(number, since))
                since = taken.positions
                assert taken.samples == 400
                found += taken.onsets
        return [values, found]

    values, found = asyncio.run(main())
    at_us = np.array(
        [int((BEGIN + number * MINUTE).timestamp()) * 1_000_000 for number in range(2_000)], dtype=np.int64
    )
    (scored,) = score_series([(at_us, np.array(values))])
    rows = np.flatnonzero(scored.onsets)
    assert {700, 1_500} <= set(rows.tolist())
    assert [(one.at, one.value, one.score) for one in found] == [
        (BEGIN + int(row) * MINUTE, values[row], float(scored.scores[row])) for row in rows
    ]


def test_detectors_of_many_series_are_those_of_each_alone_bit_for_bit() -> None:
    random = np.random.default_rng(7)
    series = {f"s{number}": np.cumsum(random.normal(0, 1, 300 + 40 * number)) for number in range(5)}
    rows = [(name, row) for name, values in series.items() for row in range(len(values))]
    mixed = [rows[place] for place in random.permutation(len(rows))]
    mixed.sort(key=lambda one: one[1] // 50)  # in order within a series, mixed between them
    ordered = sorted(range(len(mixed)), key=lambda place: (mixed[place][1] // 50, place))
    taken: dict[str, list[float]] = {name: [] for name in series}
    detection = Detection(10)
    queues = dict.fromkeys(series, 0)
    stream = []
    for name, _ in (mixed[place] for place in ordered):
        stream.append((name, queues[name]))
        queues[name] += 1
    names = list(series)
    for start in range(0, len(stream), 333):
        part = stream[start : start + 333]
        codes = np.array([names.index(name) for name, _ in part], dtype=np.int64)
        at_us = np.array([row * 60_000_000 for _, row in part], dtype=np.int64)
        values = np.array([series[name][row] for name, row in part])
        verdicts = detection.take(names, codes, at_us, values)
        for (name, _), score in zip(part, verdicts.scores.tolist(), strict=True):
            taken[name].append(score)
    for name, values in series.items():
        (alone,) = score_series([(np.arange(len(values), dtype=np.int64) * 60_000_000, values)])
        assert taken[name] == alone.scores.tolist()


def test_another_process_tells_nothing_twice_and_goes_on_alike() -> None:
    async def main() -> tuple[LookTaken, LookTaken]:
        async with desk() as (log, writer, looking):
            await put(writer, "web", "load", course(1_000, spikes=(700,)))
            first = await looking.look(asked())
            assert first.onsets
            await put(writer, "web", "queue", course(1_000, seed=2, spikes=(800,)))
            anew = Looking(log, None)
            async with anew.session:
                return await looking.look(asked(2, first.positions)), await anew.look(asked(2, first.positions))

    going_on, anew = asyncio.run(main())
    assert {one.metric for one in going_on.onsets} == {"queue"}
    assert anew.onsets == going_on.onsets
    assert anew.samples == going_on.samples == 1_000


def test_a_look_takes_no_more_samples_than_it_may_and_says_that_it_is_behind() -> None:
    async def main() -> list[LookTaken]:
        found: list[LookTaken] = []
        async with desk() as (_, writer, looking):
            for component in ("web", "store", "queue"):
                await put(writer, component, "load", course(3_000, seed=len(component)))
            while not found or found[-1].behind:
                since = found[-1].positions if found else ()
                found.append(await looking.look(asked(len(found) + 1, since, samples_max=4_000)))
        return found

    found = asyncio.run(main())
    assert len(found) > 2
    assert all(one.samples <= 4_000 for one in found)
    assert sum(one.samples for one in found) == 9_000


def test_a_look_that_may_take_no_time_gets_on_all_the_same() -> None:
    async def main() -> int:
        async with desk() as (_, writer, looking):
            await put(writer, "web", "load", course(2_500))
            found = [await looking.look(asked(samples_max=2_000, cpu_ms=1))]
            found.append(await looking.look(asked(2, found[0].positions, cpu_ms=1)))
            assert [one.behind for one in found] == [True, False]
            return sum(one.samples for one in found)

    assert asyncio.run(main()) == 2_500


def test_of_what_is_older_than_four_weeks_no_trend_is_kept() -> None:
    async def main() -> LookTaken:
        async with desk() as (_, writer, looking):
            await put(writer, "web", "rss_mb", course(400, rise=0.2))
            return await looking.look(asked(as_of=datetime.now(UTC) + timedelta(days=40)))

    taken = asyncio.run(main())
    assert (taken.samples, taken.headings) == (400, ())


def test_series_too_many_are_counted_and_left_out() -> None:
    async def main() -> LookTaken:
        async with desk() as (_, writer, looking):
            for number in range(5):
                await put(writer, f"c{number}", "load", course(20))
            return await looking.look(asked(series_max=3))

    taken = asyncio.run(main())
    assert (taken.series, taken.left_out) == (3, 2)


def test_trends_and_shifts_are_told_and_what_was_not_measured_disturbs_nobody() -> None:
    async def main() -> LookTaken:
        async with desk() as (_, writer, looking):
            await put(writer, "web", "rss_mb", course(400, rise=0.2))
            stepped: list[float | None] = [*course(200), *(value + 50 for value in course(200, seed=3))]
            stepped[50] = None
            await put(writer, "web", "queue", stepped)
            return await looking.look(asked())

    taken = asyncio.run(main())
    directions = {one.metric: one.direction for one in taken.headings}
    assert directions["rss_mb"] == "up"
    shifts = {one.metric: one for one in taken.patterns if one.pattern == "level_shift"}
    at = shifts["queue"].at
    assert at is not None
    assert abs(at - (BEGIN + 200 * MINUTE)) <= 5 * MINUTE


def test_an_opportunity_has_the_query_that_shows_it() -> None:
    async def main() -> tuple[LookTaken, list[Any]]:
        async with desk() as (_, writer, looking):
            now = datetime.now(UTC)
            starts = [
                ComponentStartRequested(
                    incarnation=number, reason="exit code 1", healing=True, at=now - number * MINUTE
                )
                for number in range(1, 5)
            ]
            await writer.write("hms.ComponentStartRequested", *starts, source="component/web")
            taken = await looking.look(asked(seek=True))
            (found,) = taken.opportunities or ()
            answer = await looking.session.ask(found.evidence.query)
            return taken, [row async for batch in answer.batches for row in batch.to_pylist()]

    taken, rows = asyncio.run(main())
    (found,) = taken.opportunities or ()
    assert (found.name, found.component, found.evidence.rows) == ("restarts-often", "web", 1)
    assert json.loads(found.evidence.rows_json)[0]["restarts"] == rows[0]["restarts"] == 4
    assert found.evidence.until == taken.as_of


def test_a_query_for_figures_takes_metrics_by_what_they_measure() -> None:
    async def main() -> MetricsFound:
        async with desk() as (_, writer, looking):
            await put(writer, "web", "cpu_percent", [1.0, 2.0, None, 4.0])
            await put(writer, "web", "other", [1.0])
            question = MetricsAsked(
                query_id="q",
                asker="ga/main",
                components=("all",),
                metrics=("cpu",),
                time_range_minutes=5,
                as_of=BEGIN + 4 * MINUTE,
            )
            found = await looking.answer("metrics", question.model_dump_json())
            assert isinstance(found, MetricsFound)
            return found

    (figures,) = asyncio.run(main()).response.series
    assert (figures.component, figures.metric, figures.samples, figures.measured) == ("web", "cpu_percent", 4, 3)
    assert (figures.minimum, figures.median, figures.maximum, figures.last) == (1.0, 2.0, 4.0, 4.0)


def test_a_report_scores_from_the_whole_past_and_shows_its_window() -> None:
    async def main() -> dict[str, Any]:
        async with desk() as (_, writer, looking):
            await put(writer, "web", "load", course(1_000, spikes=(500, 900)))
            about = Wanted(BEGIN + 800 * MINUTE, BEGIN + 1_000 * MINUTE, metrics=("load", "error_rate"))
            return await make_report(looking.session, about)

    report = asyncio.run(main())
    (component,) = report["components"]
    (series,) = component["series"]
    assert [one["at"] for one in series["anomalies"]] == [(BEGIN + 900 * MINUTE).isoformat().replace("+00:00", "Z")]
    assert (series["samples"], component["health"], report["missing_metrics"]) == (
        200,
        "watch" if series["trend"] or series["anomalous"] else "well",
        ["error_rate"],
    )
    assert summary(report).startswith("1 components")


def test_a_tasks_result_fits_into_its_report_to_the_meta_supervisor() -> None:
    async def main() -> AnalysisFound:
        async with desk() as (_, writer, looking):
            for number in range(200):
                await put(writer, f"component-{number}", "load", course(30, seed=number))
            task = AnalysisTaskAccepted(
                task_id="t",
                attempt=1,
                components=("all",),
                metrics=("all",),
                time_range_minutes=10_000,
                generate_report=True,
                as_of=datetime.now(UTC),
            )
            found = await looking.answer("analysis", task.model_dump_json())
            assert isinstance(found, AnalysisFound)
            return found

    found = asyncio.run(main())
    assert len(found.result_json) <= 65_536
    report = json.loads(found.result_json)["report"]
    shown = sum(len(one["series"]) for one in report["components"])
    assert len(report["components"]) == 200
    assert shown + report["series_left_out"] == 200


def test_who_depends_on_whom_is_what_the_fleet_in_the_log_says() -> None:
    async def main() -> dict[str, list[str]]:
        log = await open_log("simulated:")
        spec = FleetSpec(
            fleet="shop",
            components=(
                ComponentSpec(id="store", group="store", command=("sleep", "1")),
                ComponentSpec(id="web", group="web", command=("sleep", "1"), depends_on={"store": "started"}),
            ),
            groups=(GroupSpec(id="store"), GroupSpec(id="web")),
        )
        async with Node(log, [hms_app], name="n"), connect(log, name="test") as client:
            fleet = hms_app.behaviours["fleet"]("shop")
            await client.ask(fleet, ApplyFleet(spec=spec, host="here", who="test"))
        graph = await call_graph(History(log))
        await log.close()
        return graph.callees

    assert asyncio.run(main()) == {"web": ["store"], "store": []}


def test_who_exited_first_and_whose_metrics_moved_is_suspected_most() -> None:
    async def main() -> Any:
        async with desk() as (_, writer, looking):
            now = datetime.now(UTC)
            for name in ("store", "web"):
                values = course(120)
                moved = [*values[:118], *(value + 500 for value in values[118:])] if name == "store" else values
                given = tuple(
                    Sample(at=now + (number - 117) * timedelta(seconds=30), value=value)
                    for number, value in enumerate(moved)
                )
                event = SamplesImported(component=name, metric="memory", samples=given)
                await writer.write("hms.SamplesImported", event, source=f"telemetry/{name}")
            exit_ = Exit(incarnation=1, at=now, signal="KILL")
            at_us = int(now.timestamp() * 1_000_000)
            await writer.write(
                "hms.ComponentExited",
                ComponentExited(exit=exit_, session=1, sequence=1),
                source="component/store",
                at_us=at_us,
            )
            seen = GroupRecoverySeen(
                recovery_id="store/2",
                component_id="store",
                group_id="store",
                incarnation=1,
                stage="initiated",
                decision="restart",
                outcome="",
                cause="killed by KILL",
                duration_ms=0,
            )
            await writer.write("hms.GroupRecoverySeen", seen, source="runtime_supervisor/main", at_us=at_us)
            question = CausesAsked(request_id="r", incident_id="store/2", asker="client/a", as_of=now + MINUTE)
            return await looking.answer("causes", question.model_dump_json())

    found = asyncio.run(main())
    assert [one.component for one in found.ranking] == ["store", "web"]
    evidence = json.loads(found.ranking[0].evidence_json)
    assert evidence[0]["what"] == "exit"
    assert evidence[0]["cause"] == "killed by KILL"
