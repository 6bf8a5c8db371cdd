"""The archive: from the log to Parquet, embedded and on Kafka."""

import asyncio
import shutil
import time

import running
from counter import app, fill
from figures import Figure, at_least
from on_kafka.server import Server, server_of
from session import Measured, Session, Unavailable

from hms.core.log import open_log
from hms.core.log.port import EVENTS, Draft, Log
from hms.core.runtime.installed import Behaviours
from hms.core.runtime.node import Node
from hms.core.runtime.schema_store import SchemaStore
from hms.replay.archive.parallel import archive_once
from hms.replay.archive.reader import Archive
from hms.schemas import partition_of

from .replay import COMMIT_EVENTS, PARTITIONS, long_log, written

TITLE = "Archive"
PROCESSES = 2
EVENTS_COUNT = 4_000_000
KAFKA_EVENTS = 1_000_000
COMMANDS = 200_000
ACTORS = 10_000
WHAT = f"""
`hms archive run --workers {PROCESSES}`, from the first process's start to the last manifest on the disk, into an empty folder.
A log of {EVENTS_COUNT:,} events in commits of {COMMIT_EVENTS:,}; the same on Kafka with {KAFKA_EVENTS:,} (one broker on the same
machine, which works meanwhile); and a log as a node leaves it, where {COMMANDS:,} commands, their events and the commit
records with their inputs are archived, by records. Every record is decoded by its writer's schema into typed columns,
kept as bytes beside them, compressed (zstd), synced; every commit is checked for its place in the chain.
"""


async def archived(url: str, folder: str, count: int, topic: str = EVENTS) -> Measured:
    """Archive a whole log, and hold what is archived against how many events it has."""
    log = await open_log(url)
    started = time.perf_counter()
    found = await archive_once(folder, log, owner="bench", workers=PROCESSES)
    took = time.perf_counter() - started
    await log.close()
    archive = await Archive.open(folder)
    events = sum(file.rows for file in archive.files(topic, "bench.Added"))
    assert events == count, f"expected {count} events, got {events}"
    size = sum(file.bytes for file in archive.files())
    records = sum(one.records for one in found)
    return {"rate": count / took, "records_rate": records / took, "bytes": size / records}


async def handled(url: str, commands: int, actors: int) -> Measured:
    log = await open_log(url)
    await fill(log, commands, actors, answer=False)
    async with Node(log, [app], name="bench") as node:
        await running.wait_inputs(node, commands)
    await log.close()
    return {}


async def on_kafka(url: str, events: int, actors: int) -> Measured:
    """Write the events of the long log into one on Kafka, a transaction a commit."""
    log = await open_log(url)
    behaviours = Behaviours([app])
    await SchemaStore(log, behaviours.contract).publish()
    await asyncio.gather(*(_shard(log, behaviours, shard, events, actors) for shard in range(log.partitions)))
    await log.close()
    return {}


async def _shard(log: Log, behaviours: Behaviours, shard: int, events: int, actors: int) -> None:
    addresses = [name for n in range(actors) if partition_of(name := f"counter/{n}", PARTITIONS) == shard]
    writer = await log.open_writer(shard, "bench")
    drafts: list[Draft] = []
    for stored in written(behaviours, shard, addresses, events // actors):
        drafts.append(Draft(EVENTS, shard, stored.key, stored.value))
        if stored.key.startswith(b"shard/"):
            await writer.commit(drafts)
            drafts = []
    await writer.close()


def embedded(session: Session, built: str, count: int) -> Measured:
    folder = session.folder / "archive"
    shutil.rmtree(folder, ignore_errors=True)
    return session.measure(archived, url=session.copy(built), folder=str(folder), count=count)


def from_kafka(session: Session, server: Server, events: int, actors: int) -> Measured:
    folder = session.folder / "archive"
    shutil.rmtree(folder, ignore_errors=True)
    with server.log() as url:
        session.measure(on_kafka, url=url, events=events, actors=actors)
        return session.measure(archived, url=url, folder=str(folder), count=events)


def run(session: Session) -> list[Figure]:
    events, commands, actors = (session.scaled(count) for count in (EVENTS_COUNT, COMMANDS, ACTORS))
    long = session.built("archive-events.db", long_log, events=events, actors=actors)
    whole = session.built("archive-whole.db", handled, commands=commands, actors=actors)
    measures = [lambda: embedded(session, long, events), lambda: embedded(session, whole, commands)]
    try:
        server = server_of(session)
        kafka_events = session.scaled(KAFKA_EVENTS)
        measures.append(lambda: from_kafka(session, server, kafka_events, actors))
    except Unavailable as why:
        print(f"no figure from Kafka: {why}")
    found = session.repeat(*measures)
    figures = [
        Figure("log to Parquet, embedded, two processes", "events/s", rates(found[0]), at_least(100_000)),
        Figure("the same of a node's whole log", "records/s", [one["records_rate"] for one in found[1]]),
        Figure("a record in the archive", "bytes", [one["bytes"] for one in found[1]]),
    ]
    if len(found) > 2:
        figures.append(
            Figure("log to Parquet from Kafka, two processes", "events/s", rates(found[2]), at_least(60_000))
        )
    return figures


def rates(found: list[Measured]) -> list[float]:
    return [one["rate"] for one in found]


def profile(session: Session) -> str:
    events, actors = session.scaled(EVENTS_COUNT), session.scaled(ACTORS)
    built = session.built("archive-events.db", long_log, events=events, actors=actors)
    folder = session.folder / "archive"
    shutil.rmtree(folder, ignore_errors=True)
    return session.profile(alone, url=session.copy(built), folder=str(folder))


async def alone(url: str, folder: str) -> Measured:
    """Archive in this process, so that a profiler sees the work."""
    log = await open_log(url)
    await archive_once(folder, log, owner="bench")
    await log.close()
    return {}
