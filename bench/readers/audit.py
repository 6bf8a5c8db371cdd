"""Audit: every record of a long history hashed, chained and held against a signed checkpoint."""

import os
import tempfile
import time
from pathlib import Path

from figures import Figure, at_least
from on_kafka.server import server_of
from session import Measured, Session, Unavailable

from hms.core.log import open_log
from hms.replay.audit.identity import make_log_id
from hms.replay.audit.keys import KeyFolder
from hms.replay.audit.reading import Place, Reader
from hms.replay.audit.signing import sign_all
from hms.replay.audit.trust import Trust
from hms.replay.audit.verify import Anchors, verify
from hms.replay.history import History

from .archive import on_kafka
from .replay import COMMIT_EVENTS, long_log

TITLE = "Audit"
EVENTS_COUNT, ACTORS = 4_000_000, 10_000
KAFKA_EVENTS = 1_000_000
WHAT = f"""
`hms audit verify` of a log of {EVENTS_COUNT:,} events in commits of {COMMIT_EVENTS:,}, each shard under a signed checkpoint, held
against the trusted key; a process a core, starting them counts. The same on Kafka with {KAFKA_EVENTS:,} (one broker on the same
machine, which works meanwhile). A record is an event or a commit record; every one is hashed.
"""


async def verified(url: str, records: int, workers: int) -> Measured:
    """Sign the log, then verify it with the clock."""
    with tempfile.TemporaryDirectory() as folder:
        signers = KeyFolder(Path(folder) / "keys", "bench").signers()
    log = await open_log(url)
    history = History(log)
    name = await make_log_id(log, history)
    await sign_all(log, history, signers)
    reader = Reader(history, Place(url, None), workers)
    started = time.perf_counter()
    found = await verify(history, name, Anchors(Trust((signers[0].public,))), reader)
    took = time.perf_counter() - started
    await log.close()
    read = sum(shard.records for shard in found.shards)
    assert read >= records, f"expected {records} records, got {read}"
    assert not found.findings, found.findings[:3]
    assert all(shard.covered == shard.commits for shard in found.shards)
    return {"rate": read / took}


def run(session: Session) -> list[Figure]:
    events, actors = session.scaled(EVENTS_COUNT), session.scaled(ACTORS)
    workers = os.cpu_count() or 1
    url = session.built("audited.db", long_log, events=events, actors=actors)
    (embedded,) = session.repeat(
        lambda: session.measure(verified, url=session.copy(url), records=events, workers=workers)
    )
    figures = [Figure("verify, embedded", "records/s", [one["rate"] for one in embedded], at_least(500_000))]
    return figures + _on_kafka(session, workers)


def _on_kafka(session: Session, workers: int) -> list[Figure]:
    events = session.scaled(KAFKA_EVENTS)
    try:
        server = server_of(session)
    except Unavailable:
        return []

    def measured() -> Measured:
        with server.log() as url:
            session.measure(on_kafka, url=url, events=events, actors=session.scaled(ACTORS))
            return session.measure(verified, url=url, records=events, workers=workers)

    (found,) = session.repeat(measured)
    return [Figure("verify, Kafka", "records/s", [one["rate"] for one in found], at_least(150_000))]


def profile(session: Session) -> str:
    events = session.scaled(EVENTS_COUNT)
    url = session.built("audited.db", long_log, events=events, actors=session.scaled(ACTORS))
    return session.profile(verified, url=session.copy(url), records=events, workers=1)
