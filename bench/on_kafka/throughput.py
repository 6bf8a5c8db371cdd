"""A backlog of commands on Kafka, worked off exactly once by one node; and by four peers that do the same work."""

import os
import sys

import counter
import throughput
from figures import Figure, at_least
from running import node_command
from session import Measured, Session

from hms.core.log.kafka import KafkaAddress
from hms.core.log.port import EVENTS, OUTBOX
from hms.core.runtime.installed import Behaviours

from . import peering
from .crew import command as crew_command
from .observing import Watched, observing
from .peers import work
from .server import Server, server_of

TITLE = "Throughput on Kafka"
COMMANDS, FAUST_COMMANDS, ACTORS = 100_000, 10_000, 1_000
WORKERS = 2
WHAT = f"""
One broker (Kafka 4.3.1, heap of 1 GB) runs on the same machine, for all benches on Kafka. A log on it holds {COMMANDS:,}
commands from outside, each of which wants an answer, to {ACTORS:,} actors in turn. The
clock runs from `Node.start` in a process of its own (default options, 16 shards: joining, fencing and restoring them
included) until a consumer with `isolation_level=read_committed` in another process has the last answer; then the node is
ended, and there must be exactly one answer and one event a command. One process of Python uses one core: the second rows
are of the node as two processes, as `hms node --workers {WORKERS}` starts them, from the first `Node.start` of the two. What
is compared with the peers runs from the first answers instead, theirs and ours, so that nobody's start counts. Each command
is read, decoded, checked, deduplicated, decided, evolved, and its event, answer and commit record are written in one
transaction of its shard.

The peers do the same work, watched and counted by the same consumer: read a command record of the same size (flat, without
nullable fields), decode its Avro, fold a counter a key, encode and write an event and an answer, exactly once, lz4, over
{peering.PARTITIONS} partitions; no deduplication, checks, headers, or commit records. `quixstreams` with its own store and a
commit interval of 0.1 and of 1 s (the bar is held against the faster of each turn); `faust-streaming` with a table
({FAUST_COMMANDS:,} commands); aiokafka without a framework, four shards, 500 commands a transaction, state in a dict that a
restart would lose; Kafka Streams 4.3.1 `exactly_once_v2`, two threads, 100 ms, store in memory with its changelog, its
JVM cold.
"""
QUIX_INTERVALS = (0.1, 1.0)


def _ours(session: Session, server: Server, commands: int, workers: int) -> Measured:
    contract = Behaviours([counter.app]).contract
    with server.log() as url:
        session.measure(counter.backlog, url=url, commands=commands, actors=ACTORS)
        os.sync()
        address = KafkaAddress.parse(url)
        return session.measure(
            observing,
            command=node_command(url, "counter:app") if workers == 1 else crew_command(url, "counter:app", workers),
            bootstrap=server.bootstrap,
            replies=Watched(address.topic(OUTBOX), contract.of(counter.Count).schema_id),
            events=Watched(address.topic(EVENTS), contract.of(counter.Added).schema_id),
            count=commands,
            said=session.path("said.txt"),
        )


class _Peers:
    """Each method is one run of one of them."""

    def __init__(self, session: Session, server: Server) -> None:
        self._session = session
        self._server = server
        self._python = peering.python()
        self._classes = peering.classpath()

    def quix(self, interval_s: float) -> Measured:
        return self._python_peer("quix.py", self._python, COMMANDS, interval_s)

    def faust(self) -> Measured:
        return self._python_peer("faust_streaming.py", self._python, FAUST_COMMANDS)

    def raw(self) -> Measured:
        return self._python_peer("raw.py", sys.executable, COMMANDS)

    def streams(self) -> Measured:
        with self._server.topics(peering.PARTITIONS, *peering.TOPICS) as prefix:
            return self._watched(peering.java_peer(self._classes, self._task(prefix)), prefix, COMMANDS)

    def _python_peer(self, script: str, interpreter: str, commands: int, interval_s: float = 0.1) -> Measured:
        with self._server.topics(peering.PARTITIONS, *peering.TOPICS) as prefix:
            command = peering.python_peer(script, interpreter, self._task(prefix, interval_s))
            return self._watched(command, prefix, commands)

    def _task(self, prefix: str, interval_s: float = 0.1) -> work.Task:
        folder = self._session.folder / f"{prefix}-state"
        folder.mkdir()
        return work.Task(self._server.bootstrap, prefix, str(folder), interval_s)

    def _watched(self, command: list[str], prefix: str, commands: int) -> Measured:
        count = self._session.scaled(commands)
        given = {"bootstrap": self._server.bootstrap}
        self._session.measure(peering.backlog, **given, prefix=prefix, commands=count, actors=ACTORS)
        os.sync()
        return self._session.measure(
            observing,
            **given,
            command=command,
            replies=Watched(f"{prefix}.replies", int.from_bytes(work.REPLY_FRAME[1:], "big")),
            events=Watched(f"{prefix}.events", int.from_bytes(work.EVENT_FRAME[1:], "big")),
            count=count,
            said=self._session.path("said.txt"),
        )


def run(session: Session) -> list[Figure]:
    server = server_of(session)
    peers = _Peers(session, server)
    ours, crew, *others = session.repeat(
        lambda: _ours(session, server, session.scaled(COMMANDS), 1),
        lambda: _ours(session, server, session.scaled(COMMANDS), WORKERS),
        *(lambda interval=interval: peers.quix(interval) for interval in QUIX_INTERVALS),
        peers.faust,
        peers.raw,
        peers.streams,
    )
    rates, both, quick, slow, faust, raw, streams = (
        [one["running_rate"] for one in each] for each in (ours, crew, *others)
    )
    quix = [max(pair) for pair in zip(quick, slow, strict=True)]
    return [
        Figure(
            "backlog to events and answers, one node of one process", "commands/s", _started(ours), at_least(15_000)
        ),
        Figure("the same, from the first answers on", "commands/s", rates),
        _compared(rates, "`quixstreams` exactly-once", quix, bar=True),
        _compared(rates, "`faust-streaming` exactly-once", faust, bar=True),
        _compared(rates, "aiokafka alone", raw),
        Figure(f"one node with `--workers {WORKERS}`", "commands/s", _started(crew), at_least(15_000)),
        Figure("the same, from the first answers on", "commands/s", both),
        _compared(both, "`quixstreams` exactly-once (one process)", quix, bar=True),
        _compared(both, "Kafka Streams (two threads)", streams),
        Figure("`quixstreams`, 0.1 s", "commands/s", quick),
        Figure("`quixstreams`, 1 s", "commands/s", slow),
        Figure("`faust-streaming`", "commands/s", faust),
        Figure("aiokafka alone", "commands/s", raw),
        Figure("Kafka Streams", "commands/s", streams),
        Figure("CPU of the node of one process", "us a command", [one["cpu_us"] for one in ours]),
        Figure("CPU of both workers", "us a command", [one["cpu_us"] for one in crew]),
    ]


def _started(results: list[Measured]) -> list[float]:
    return [one["rate"] for one in results]


def _compared(rates: list[float], name: str, peers: list[float], *, bar: bool = False) -> Figure:
    ratios = [mine / other for mine, other in zip(rates, peers, strict=True)]
    return Figure(f"the same, compared with {name}", "times", ratios, at_least(1) if bar else None)


def profile(session: Session) -> str:
    commands = session.scaled(COMMANDS)
    with server_of(session).log() as url:
        session.measure(counter.backlog, url=url, commands=commands, actors=ACTORS)
        return session.profile(throughput.hms, url=url, commands=commands)
