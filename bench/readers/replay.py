"""The past: everything decided again, and all actors as they were at an instant."""

import time
from collections.abc import Iterator
from pathlib import Path

import running
from counter import Added, Total, app, fill
from figures import Figure, at_least, under
from session import Measured, Session, file_of

from hms.core.log import open_log
from hms.core.log.copied import LogCopy, PartitionCopy
from hms.core.log.port import EVENTS, SCHEMAS, Stored
from hms.core.log.sqlite.copying import write_log
from hms.core.runtime.commit_record import START, commit_draft, following
from hms.core.runtime.installed import Behaviours
from hms.core.runtime.node import Node
from hms.core.runtime.wire import Pen
from hms.replay.archive.archiver import Archiver
from hms.replay.archive.last_commit import last_commit
from hms.replay.archive.parallel import archive_once
from hms.replay.archive.snapshot import keep_snapshot
from hms.replay.past.everyone import everyone_at
from hms.replay.verify.run import Subject, verify
from hms.schemas import Envelope, partition_of

TITLE = "Replay"
APPS = ("counter:app",)
PROCESSES = 2
COMMANDS = 400_000
ACTORS = 10_000
EVENTS_COUNT = 10_000_000
EVERYONE = 100_000
PARTITIONS = 16
TAIL = 100_000
COMMIT_EVENTS = 1_000
BEGINNING_US = 1_767_225_600_000_000
WHAT = f"""
`hms replay verify`: a real node has handled {COMMANDS:,} commands from outside, for {ACTORS:,} actors, each with an answer that
somebody waits for. Every command is decided again on the state that the recorded events make, encoded, and held byte for
byte against what was recorded: verdict, answer, events, effects, and the digests of what was read and sent; each commit
record is checked for its place in the chain. {PROCESSES} processes share the shards; starting them counts.

All actors at an instant: a log of {EVENTS_COUNT:,} events of {EVERYONE:,} actors, in commits of {COMMIT_EVENTS:,}. The closed cut
of an instant behind the last event is found, every shard is folded up to it from its first event, its chain checked, by {PROCESSES}
processes, and all states are there, encoded. The events must count up. And the same with an archive that has a snapshot of the
states, as its owner takes one a day, and {TAIL:,} events since.
"""


async def handled(url: str, commands: int, actors: int) -> Measured:
    log = await open_log(url)
    await fill(log, commands, actors, answer=True)
    async with Node(log, [app], name="bench") as node:
        await running.wait_inputs(node, commands)
    await log.close()
    return {}


async def verified(url: str, commands: int) -> Measured:
    started = time.perf_counter()
    found = await verify(Subject(url, None, APPS), processes=PROCESSES)
    took = time.perf_counter() - started
    inputs = sum(one.inputs for one in found.shards)
    assert inputs == commands, f"expected {commands} inputs, got {inputs}"
    assert not found.divergence_count, found.first()[:3]
    return {"rate": inputs / took}


def long_log(url: str, events: int, actors: int) -> Measured:
    """A log of many events, without what led to them: written as a file, because a node would take a quarter of an hour."""
    behaviours = Behaviours([app])
    shards: list[list[str]] = [[] for _ in range(PARTITIONS)]
    for number in range(actors):
        address = f"counter/{number}"
        shards[partition_of(address, PARTITIONS)].append(address)
    rounds = events // actors
    places = {}
    for shard, addresses in enumerate(shards):
        count = rounds * len(addresses)
        high = count + (count + COMMIT_EVENTS - 1) // COMMIT_EVENTS
        places[EVENTS, shard] = PartitionCopy(0, high, written(behaviours, shard, addresses, rounds))
    schemas = [
        Stored(SCHEMAS, 0, n, BEGINNING_US, str(i).encode(), text.encode(), ())
        for n, (i, text) in enumerate(behaviours.contract.schemas())
    ]
    places[SCHEMAS, 0] = PartitionCopy(0, len(schemas), schemas)
    write_log(Path(file_of(url)), LogCopy(PARTITIONS, places, [1] * PARTITIONS, {}))
    return {}


def written(behaviours: Behaviours, shard: int, addresses: list[str], rounds: int) -> Iterator[Stored]:
    """A shard's events, to each actor in turn, and its commit records."""
    contract = behaviours.contract
    added = contract.of(Added)
    body = added.encode_body(Added(amount=1))
    head, offset, waiting = START, 0, 0
    total = rounds * len(addresses)
    for number in range(total):
        address = addresses[number % len(addresses)]
        now_us = BEGINNING_US + number * 100
        id_ = f"{shard:04x}{number:028x}"
        envelope = Envelope(id_, address, address, added.name, now_us, id_, None, None, "normal", None, "1.0")
        yield Stored(EVENTS, shard, offset, now_us, address.encode(), added.wire(body, envelope), ())
        offset, waiting = offset + 1, waiting + 1
        if waiting == COMMIT_EVENTS or number + 1 == total:
            pen = Pen(shard, PARTITIONS, contract, 1 << 30, now_us, headers=False)
            record = commit_draft(
                contract,
                pen,
                head,
                shard=shard,
                epoch=1,
                code_version="bench",
                now_us=now_us,
                inputs=[],
                positions=(0, 0, 0, 0),
                read=[],
                sent=[],
            )
            value = record.value or b""
            fields = {
                "sequence": head.sequence + 1,
                "now": now_us,
                "positions": (0, 0, 0, 0),
                "previous": head.previous,
            }
            head = following(head, fields, value, f"shard {shard}")
            yield Stored(EVENTS, shard, offset, now_us, record.key, value, ())
            offset, waiting = offset + 1, 0


async def kept(url: str, folder: str, events: int, actors: int, tail: int) -> Measured:
    """A long log that a node has checkpointed, its archive with a snapshot, and some events since."""
    long_log(url, events, actors)
    log = await open_log(url)
    async with Node(log, [app], name="bench") as node:
        await running.wait_clean(node)
        await archive_once(folder, log, owner="bench", workers=PROCESSES)
        archiver = await Archiver.open(folder, log, owner="bench")
        for shard in range(log.partitions):
            writer = archiver.writer(shard, (await last_commit(log, shard)).epoch)
            assert await keep_snapshot(writer, log, 1), f"no snapshot of shard {shard}"
        await fill(log, tail, actors, answer=False)
        await running.wait_inputs(node, tail)
    await log.close()
    return {}


async def everyone(url: str, archive: str | None, events: int, actors: int) -> Measured:
    started = time.perf_counter()
    found = await everyone_at(url, archive, APPS, time.time_ns() // 1_000, processes=PROCESSES)
    took = time.perf_counter() - started
    assert len(found) == actors, f"expected {actors} actors, got {len(found)}"
    seen = found.actor("counter/0")
    assert seen is not None
    assert isinstance(seen.state, Total)
    assert seen.event_count == events // actors, seen.event_count
    return {"took": took}


def run(session: Session) -> list[Figure]:
    commands, events, actors = session.scaled(COMMANDS), session.scaled(EVENTS_COUNT), session.scaled(EVERYONE)
    log = session.built("handled.db", handled, commands=commands, actors=session.scaled(ACTORS))
    (verifying,) = session.repeat(lambda: session.measure(verified, url=log, commands=commands))
    long = session.built("long.db", long_log, events=events, actors=actors)
    archive, tail = str(session.folder / "kept"), session.scaled(TAIL)
    snapshot = session.built("kept.db", kept, folder=archive, events=events, actors=actors, tail=tail)
    counts = {"events": events, "actors": actors}
    folding, loading = session.repeat(
        lambda: session.measure(everyone, url=long, archive=None, **counts),
        lambda: session.measure(everyone, url=snapshot, archive=archive, events=events + tail, actors=actors),
    )
    return [
        Figure("`replay verify`, two processes", "messages/s", [one["rate"] for one in verifying], at_least(35_000)),
        Figure(
            "the states of 100,000 actors at an instant, of 10 million events",
            "s",
            [one["took"] for one in folding],
            under(90),
        ),
        Figure("the same, from an archived snapshot", "s", [one["took"] for one in loading], under(15)),
    ]


def profile(session: Session) -> str:
    commands = session.scaled(COMMANDS)
    return session.profile(
        verified, url=session.built("handled.db", handled, commands=commands, actors=ACTORS), commands=commands
    )
