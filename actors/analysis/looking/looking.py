"""Everything that one process keeps between looks at a log: the session of its queries, detectors, trends."""

import json
import resource
from datetime import timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa

from ....core.errors import ValidationFailed
from ....core.log.open import open_log
from ....core.log.port import Log
from ....replay.archive.binding import bound_archive
from ....replay.archive.reader import Archive
from ....replay.history import History, Place
from ....replay.sql.session import Session
from ....schemas.analysis_event import AnalysisTaskAccepted, CausesAsked, LookAsked, MetricsAsked
from ....schemas.analysis_look import AnalysisFound, LookTaken, MetricsFound, Onset, PlaceEnd, SeriesName
from ....schemas.record import Record
from ..trend import Samples, Trends
from .asking import LIMITS, instant, micros
from .causing import causes
from .detection import Detection, Verdicts
from .figures import respond
from .headings import headings, patterns
from .opportunities import opportunities
from .report import Item, Wanted, make_report, summary
from .rows import APART, TOPICS, Rows, read_rows

CHUNK_ROWS: Final = 20_000
ONSETS_MAX: Final = 200
MOVES_MAX: Final = 500
"""So many trends, and so many patterns, a look brings back."""
KEPT: Final = timedelta(days=28)
"""Trends and patterns are of so long a time."""
RESULT_CHARS_MAX: Final = 60_000
"""A task's result is no longer; the report leaves the quietest series out until it fits."""


class Looking:
    """Looks at one log. Detectors know only what was read here, from the log's beginning on: so they are as in retrospect."""

    def __init__(self, log: Log, archive: Archive | None) -> None:
        self._history = History(log, archive)
        self.session = Session(self._history, archive, LIMITS)
        self._detection: Detection | None = None
        self._trends: Trends | None = None
        self._at: dict[Place, int] = {}

    @classmethod
    async def open(cls, url: str) -> "Looking":
        """Open a log, with the archive that it knows of; raises what these raise."""
        log = await open_log(url)
        looking = cls(log, await _archive(log))
        await looking.session.__aenter__()
        return looking

    async def close(self) -> None:
        """End the queries' process."""
        await self.session.__aexit__(None, None, None)
        if self._history.log is not None:
            await self._history.log.close()

    async def answer(self, what: str, asked_json: str) -> Record:
        """Answer one question of an effect."""
        match what:
            case "look":
                return await self.look(LookAsked.model_validate_json(asked_json))
            case "metrics":
                asked = MetricsAsked.model_validate_json(asked_json)
                return MetricsFound(response=await respond(self.session, asked))
            case "causes":
                return await causes(self.session, self._history, CausesAsked.model_validate_json(asked_json))
        return await self._analyse(AnalysisTaskAccepted.model_validate_json(asked_json))

    # --- a look -------------------------------------------------------------------------------------------------

    async def look(self, asked: LookAsked) -> LookTaken:
        """Take one look: what has come since the last one, up to `as_of`, as far as its bounds allow."""
        begun_s = _cpu_s()
        self._prepare(asked)
        ends = dict((await self._history.as_of(TOPICS, at_us=micros(asked.as_of))).positions)
        told = {(one.topic, one.shard): one.next for one in asked.since}
        onsets: list[Onset] = []
        left, count, whole = asked.samples_max, 0, False
        is_spent = False
        while not whole and not is_spent:
            rows = await read_rows(self.session, self._at, ends, told, max(min(CHUNK_ROWS, left), 2_000))
            onsets += self._take(rows)
            self._at, whole = rows.ends, rows.whole
            left -= len(rows.codes)
            count += int(rows.fresh.sum())
            is_spent = left <= 0 or _cpu_s() - begun_s >= asked.cpu_ms / 1_000
        return await self._taken(asked, onsets, count, begun_s, whole=whole)

    def _prepare(self, asked: LookAsked) -> None:
        """Make detectors and trends; when their bounds have changed, anew from the log's beginning."""
        width_us = asked.bucket_ms * 1_000
        if self._detection is not None and self._trends is not None:
            if (self._detection.series_max, self._trends.width_us) == (asked.series_max, width_us):
                return
            self._trends.close()
        self._detection, self._trends, self._at = Detection(asked.series_max), Trends(width_us), {}

    def _take(self, rows: Rows) -> list[Onset]:
        """Feed rows to the detectors and the trends; return the onsets among those that are new to the supervisor."""
        if not len(rows.codes):
            return []
        detection, trends = self._parts()
        verdicts = detection.take(rows.names, rows.codes, rows.at_us, rows.values)
        known = verdicts.known
        series = pa.DictionaryArray.from_arrays(pa.array(rows.codes[known]), pa.array(rows.names))
        trends.add(Samples(series, rows.at_us[known], rows.values[known]))
        return [_onset(rows, verdicts, row) for row in np.flatnonzero(verdicts.onsets & rows.fresh)]

    async def _taken(
        self, asked: LookAsked, onsets: list[Onset], count: int, begun_s: float, *, whole: bool
    ) -> LookTaken:
        detection, trends = self._parts()
        trends.forget_before(micros(asked.as_of - KEPT))
        told = sorted(onsets, key=lambda one: one.at)
        moving = headings(trends) if whole else ()
        return LookTaken(
            look=asked.look,
            as_of=asked.as_of,
            positions=tuple(
                PlaceEnd(topic=topic, shard=shard, next=end) for (topic, shard), end in sorted(self._at.items())
            ),
            behind=not whole,
            samples=count,
            series=len(detection.names),
            left_out=detection.left_out,
            onsets=tuple(told[-ONSETS_MAX:]),
            onsets_left_out=max(len(told) - ONSETS_MAX, 0),
            lasting=tuple(_name(series) for series in detection.lasting),
            headings=moving[:MOVES_MAX],
            headings_left_out=max(len(moving) - MOVES_MAX, 0),
            patterns=patterns(trends)[:MOVES_MAX] if whole else (),
            opportunities=await opportunities(self.session, asked.as_of) if whole and asked.seek else None,
            cpu_ms=int((_cpu_s() - begun_s) * 1_000),
        )

    def _parts(self) -> tuple[Detection, Trends]:
        if self._detection is None or self._trends is None:
            raise RuntimeError("expected a look to have been prepared")
        return self._detection, self._trends

    # --- a task -------------------------------------------------------------------------------------------------

    async def _analyse(self, asked: AnalysisTaskAccepted) -> AnalysisFound:
        since = asked.as_of - timedelta(minutes=asked.time_range_minutes)
        report = await make_report(self.session, Wanted(since, asked.as_of, asked.components, asked.metrics))
        words = summary(report)
        found: Item = {"summary": words, "as_of": report["as_of"], "since": report["since"]}
        found["missing_metrics"] = report["missing_metrics"]
        if asked.generate_report:
            found["report"] = report
        return AnalysisFound(task_id=asked.task_id, as_of=asked.as_of, summary=words, result_json=shortened(found))


async def _archive(log: Log) -> Archive | None:
    """Return the archive that a log knows of; None where this host does not see it: what is only there is then missed loudly."""
    bound = await bound_archive(log)
    if bound is None:
        return None
    try:
        return await Archive.open(bound.url)
    except ValidationFailed:
        return None


def shortened(found: Item) -> str:
    """Return a task's result as JSON that fits into one: without plots, and with the series that say most."""
    report = found.get("report")
    if report is None:
        return json.dumps(found)
    series = [one for component in report["components"] for one in component["series"]]
    for one in series:
        one.pop("points", None)
    by_interest = sorted(series, key=lambda one: (not one.get("anomalous"), -len(one.get("anomalies", ()))))
    text = json.dumps(found)
    while len(text) > RESULT_CHARS_MAX and by_interest:
        gone = [by_interest.pop() for _ in range(max(len(by_interest) // 4, 1))]
        report["series_left_out"] += len(gone)
        for component in report["components"]:
            component["series"] = [one for one in component["series"] if not any(one is other for other in gone)]
        text = json.dumps(found)
    return text


def _onset(rows: Rows, verdicts: Verdicts, row: Any) -> Onset:
    component, _, metric = rows.names[int(rows.codes[row])].partition(APART)
    return Onset(
        component=component,
        metric=metric,
        at=instant(int(rows.at_us[row])),
        value=float(rows.values[row]),
        score=float(verdicts.scores[row]),
    )


def _name(series: str) -> SeriesName:
    component, _, metric = series.partition(APART)
    return SeriesName(component=component, metric=metric)


def _cpu_s() -> float:
    """Return the processor time of this process; its queries' process has limits of its own."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
