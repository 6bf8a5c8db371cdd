"""SQL: questions to ten million archived events, a day of small files, and a tail that is not archived."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
from figures import Figure, under
from session import Measured, Session

from hms.core.log import open_log
from hms.core.log.port import EVENTS, SCHEMAS, Draft, Log
from hms.replay.archive.manifest import ArchivedFile
from hms.replay.archive.parquet import encoded
from hms.replay.archive.reader import Archive
from hms.replay.columns import AFTER, BEFORE, WireType
from hms.replay.columns.columns import HEADERS, TOPIC
from hms.replay.history import History
from hms.replay.sql.fresh import FRESH_ROWS_MAX
from hms.replay.sql.limits import default_limits
from hms.replay.sql.session import Session as Queries
from hms.schemas import Contract, Envelope, Event

TITLE = "SQL"
EVENTS_COUNT = 10_000_000
FLUSHED, TAIL = 50_000, 50_000
SHARDS, DAYS, FLUSHES = 16, 5, 60
FEW, MANY = 64, 100_000
DAY_US = 86_400_000_000
BEGINNING_US = 1_767_225_600_000_000
TYPE = "bench.Sampled"
WHAT = f"""
A session of `hms sql` on an archive of {EVENTS_COUNT:,} events of {DAYS} days and {SHARDS} shards, compacted as the archive does
it, {SHARDS * FLUSHES} small files of a day's flushes with {FLUSHED:,} events more, and {TAIL:,} events in the log that are not
archived yet; once with {FEW} components, once with {MANY:,}. A query's time is from asking to its last row, the log's new
records and the views included; the session has been asked once before, as a shell has.
"""
QUERIES = {
    "count by type": ("SELECT type, count(*) AS n FROM events GROUP BY type", 0.15, 0.15),
    "p95 by component by hour": (
        "SELECT record_key, time_bucket(INTERVAL 1 hour, appended_at), quantile_cont(value, 0.95) FROM bench.sampled GROUP BY 1, 2",
        1.0,
        8.0,
    ),
    "one component": (
        "SELECT count(*) AS n, avg(value) AS v FROM bench.sampled WHERE record_key = 'component/c7'",
        0.15,
        0.15,
    ),
}


class Sampled(Event):
    """A figure of a component."""

    value: float


KIND = Contract().register(Sampled, TYPE)


def table(shard: int, count: int, components: int, first_us: int, span_us: int, position: int) -> pa.Table:
    """Events of one shard, as the archive's columns have them."""
    draw = np.random.default_rng(shard * 1_000_003 + position)
    number = draw.integers(0, components // SHARDS or 1, count) * SHARDS + shard
    positions = np.arange(position, position + count)
    times = pa.array(first_us + np.arange(count) * span_us // count).cast(pa.timestamp("us", tz="UTC"))
    keys = pa.array(np.char.add("component/c", number.astype(str)))
    wire = WireType(KIND.schema_json)
    ids = pa.array(np.char.add(f"{shard:04x}-", np.char.zfill(positions.astype(str), 28)))
    envelope_type = wire.types[-1]
    filled: dict[str, Any] = {"id": ids, "source": keys, "destination": keys, "sent_at": times, "correlation_id": ids}
    constant = {"type": TYPE, "priority": "normal", "version": "1.0"}
    parts = [
        filled.get(
            field.name,
            pa.array([constant[field.name]] * count) if field.name in constant else pa.nulls(count, field.type),
        )
        for field in envelope_type
    ]
    columns = [
        pa.array([EVENTS] * count).dictionary_encode().cast(TOPIC),
        pa.array(np.full(count, shard, np.int32)),
        pa.array(positions),
        times,
        keys,
        pa.StructArray.from_arrays(parts, fields=list(envelope_type)),
        pa.array(draw.gamma(2.0, 50.0, count)),
        pa.array([[]] * count, HEADERS),
        pa.array(ids).cast(pa.binary()),
    ]
    return pa.Table.from_arrays(columns, [*BEFORE, *wire.names, *AFTER])


def build(folder: str, events: int, components: int) -> Measured:
    """Write the archive's files."""
    root = Path(folder)
    share = events // (SHARDS * DAYS)
    flushed = max(1, FLUSHED // (SHARDS * FLUSHES))
    for shard in range(SHARDS):
        for day in range(DAYS):
            rows = table(shard, share, components, BEGINNING_US + day * DAY_US, DAY_US, day * share)
            _write(
                root, shard, day, rows.sort_by([("record_key", "ascending"), ("position", "ascending")]), compacted=True
            )
        for flush in range(FLUSHES):
            begins = BEGINNING_US + DAYS * DAY_US + flush * DAY_US // FLUSHES
            rows = table(shard, flushed, components, begins, DAY_US // FLUSHES, DAYS * share + flush * flushed)
            _write(root, shard, DAYS, rows, compacted=False)
    return {}


def _write(root: Path, shard: int, day: int, rows: pa.Table, *, compacted: bool) -> None:
    folder = root / f"data/type={TYPE}/date={np.datetime64('2026-01-01') + day}"
    folder.mkdir(parents=True, exist_ok=True)
    first = rows.column("position")[0].as_py()
    (folder / f"{EVENTS}-{shard}-{first}-{int(compacted)}.parquet").write_bytes(encoded(rows, compacted=compacted))


def opened(folder: str) -> Archive:
    """Stand in for an archive of these files that ends where the log begins."""
    root = Path(folder)
    files = [
        ArchivedFile(
            path=str(path.relative_to(root)),
            type=TYPE,
            topic=EVENTS,
            shard=int(path.name.split("-")[1]),
            date="",
            first=0,
            next=0,
            rows=FRESH_ROWS_MAX + 1 if path.name.endswith("-1.parquet") else 0,
            bytes=0,
            sha256="",
            appended_us_min=0,
            appended_us_max=0,
            schema_id=KIND.schema_id,
        )
        for path in sorted(root.glob("data/*/*/*.parquet"))
    ]
    stands_in = SimpleNamespace(
        folder=SimpleNamespace(root=root),
        files=lambda: files,
        positions=dict,
        tombstones=list,
    )
    return cast("Archive", stands_in)


async def tail(url: str, components: int) -> Log:
    """Write what is not archived."""
    log = await open_log(url)
    await log.append([Draft(SCHEMAS, 0, str(KIND.schema_id).encode(), KIND.schema_json.encode())])
    for start in range(0, TAIL, 1_000):
        await log.append([_draft(number, components) for number in range(start, start + 1_000)])
    return log


def _draft(number: int, components: int) -> Draft:
    address = f"component/c{number % components}"
    at_us = BEGINNING_US + (DAYS + 1) * DAY_US + number
    stamp = Envelope(f"t-{number:030d}", address, address, TYPE, at_us, "c", None, None, "normal", None, "1.0")
    return Draft(EVENTS, number % SHARDS, address.encode(), KIND.encode(Sampled(value=float(number % 500)), stamp))


async def asked(folder: str, url: str, events: int, components: int) -> Measured:
    """Ask every query once, and then again with the clock."""
    log = await tail(url, components)
    archive = opened(folder)
    took: Measured = {}
    async with Queries(History(log), archive, default_limits(300_000, 8_192)) as queries:
        for again in (False, True):
            for name, (sql, *_) in QUERIES.items():
                started = time.perf_counter()
                answer = await queries.ask(sql)
                rows = [row async for batch in answer.batches for row in _few(batch)]
                took[name] = time.perf_counter() - started
                if again and name == "count by type":
                    kept = events // (SHARDS * DAYS) * SHARDS * DAYS
                    flushed = max(1, FLUSHED // (SHARDS * FLUSHES)) * SHARDS * FLUSHES
                    assert rows == [{"type": TYPE, "n": kept + flushed + TAIL}], rows
    await log.close()
    return took


def _few(batch: pa.RecordBatch) -> Sequence[Any]:
    return cast("Sequence[Any]", batch.slice(0, 10).to_pylist())


def run(session: Session) -> list[Figure]:
    figures = []
    for components, which in ((FEW, 1), (MANY, 2)):
        folder = str(session.folder / f"sql-{components}")
        shutil.rmtree(folder, ignore_errors=True)
        events = session.scaled(EVENTS_COUNT)
        session.measure(build, folder=folder, events=events, components=components)
        arguments = {"folder": folder, "events": events, "components": components}
        (found,) = session.repeat(
            lambda arguments=arguments: session.measure(asked, url=session.fresh("tail.db"), **arguments)
        )  # type: ignore[misc]
        for name, query in QUERIES.items():
            bar = query[which]
            figures.append(
                Figure(f"{name}, {components:,} components", "s", [one[name] for one in found], under(float(bar)))
            )  # type: ignore[arg-type]
        shutil.rmtree(folder)
    return figures
