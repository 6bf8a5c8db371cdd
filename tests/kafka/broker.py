"""A real Kafka node as a process of the tests, and three of them as a cluster: started, stopped, killed, paused."""

import base64
import json
import select
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, PartitionMetadata

from .jars import jars, java
from .ports import free_port

START_S = 120


def settings(brokers: int) -> dict[str, str]:
    """Return what the brokers of tests differ in from a broker's defaults; the names of server.properties."""
    copies, in_sync = str(min(brokers, 3)), str(2 if brokers > 2 else 1)
    return {
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": "1",
        # What else takes minutes by default: nobody else joins, hung transactions end, deleted and compacted data go.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "500",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        "log.initial.task.delay.ms": "1000",
        "log.retention.check.interval.ms": "1000",
        "log.cleaner.backoff.ms": "500",
        "log.segment.delete.delay.ms": "1000",
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }


def warm_up(bootstrap: str) -> None:
    """Use a transaction and a group once: their topics are made at the first use, and that takes its time."""
    asked = {"bootstrap.servers": bootstrap, "transactional.id": "warm-up", "transaction.timeout.ms": 5_000}
    producer = Producer({**asked, "log_level": 0})
    producer.init_transactions(START_S)
    group = Consumer({"bootstrap.servers": bootstrap, "group.id": "warm-up", "log_level": 0})
    deadline = time.monotonic() + START_S
    try:
        while True:
            try:
                group.committed([TopicPartition("__consumer_offsets", 0)], START_S)
            except KafkaException:  # its coordinator is being loaded
                assert time.monotonic() < deadline, f"no group coordinator in {START_S} s"
            else:
                return
    finally:
        group.close()


def cluster_id() -> str:
    """Return a new id of a cluster: 22 characters of Base64, the first of which is none that a command line takes for an option."""
    return "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:-1] + "A"


class Broker:
    """A combined node (broker and controller) on 127.0.0.1; its ports and data stay the same from one start to the next.

    Clients come in by `port`, or through a proxy of the test: the listener on `proxied_port` tells whoever asks that its address is
    `proxy_port`, where a proxy is expected to listen (a client goes to the address that it is told, not to the one it knocked at).
    Brokers speak among themselves, and to themselves, by neither.
    """

    def __init__(
        self, folder: Path, *, number: int = 1, heap: str = "512m", more: Mapping[str, str] | None = None
    ) -> None:
        self.folder, self.number, self.heap = folder, number, heap
        self.port, self.proxied_port, self.proxy_port = free_port(), free_port(), free_port()
        self.inner_port, self.controller_port = free_port(), free_port()
        self.more = dict(more or {})
        self.starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def proxied(self) -> str:
        """Return what a client behind the proxy is given."""
        return f"127.0.0.1:{self.proxy_port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, f"broker {self.number} was never started"
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        """Return what it said since its last start."""
        return (self.folder / f"out.{self.starts}.log").read_text(encoding="utf-8", errors="replace")

    def format(self, cluster: str, voters: str) -> None:
        """Make its data folder, empty, as a member of the cluster with these voters."""
        self.folder.mkdir(parents=True, exist_ok=True)
        properties = {**self._addresses(), "controller.quorum.voters": voters, "log.dirs": str(self.folder / "data")}
        lines = (f"{name}={value}" for name, value in {**properties, **self.more}.items())
        (self.folder / "server.properties").write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [*self._java("-XX:TieredStopAtLevel=1"), "kafka.tools.StorageTool", "format", "-t", cluster, "-c"]
        done = subprocess.run(
            [*command, self._properties], capture_output=True, text=True, check=False, timeout=START_S
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def begin(self) -> None:
        """Start it, and return at once."""
        assert not self.runs, f"broker {self.number} runs already"
        self.starts += 1
        logging = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.yaml')}"
        with (self.folder / f"out.{self.starts}.log").open("wb") as out:
            command = [*self._java(f"-Xmx{self.heap}", "-XX:+UseSerialGC", logging), "kafka.Kafka", self._properties]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        # Whatever ends the tests, SIGKILL included, ends the broker: the guard's pipe closes with them.
        guard = ["sh", "-c", f"read _; kill -9 {self._process.pid}"]
        self._guard = subprocess.Popen(guard, stdin=subprocess.PIPE, start_new_session=True)

    def ready(self) -> None:
        """Return once it serves clients."""
        deadline = time.monotonic() + START_S
        while "Kafka Server started" not in self.output:
            assert self.runs, f"broker {self.number} ended:\n{self.output[-4000:]}"
            assert time.monotonic() < deadline, (
                f"broker {self.number} is not ready in {START_S} s:\n{self.output[-4000:]}"
            )
            with suppress(subprocess.TimeoutExpired):
                assert self._process is not None
                self._process.wait(0.05)

    def start(self) -> None:
        """Start it on the data it has, and return once it serves."""
        self.begin()
        self.ready()

    def stop(self) -> None:
        """End it as an operator does: its leaders move, its data are flushed."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """SIGKILL, then start on the same data."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: its connections stay open and nothing is answered. Returns when all its threads stand still."""
        self._signal(signal.SIGSTOP)
        deadline = time.monotonic() + START_S
        while not self._stands_still() and time.monotonic() < deadline:
            select.select([], [], [], 0.002)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def heal(self) -> None:
        """Let it serve again, whatever a test did to it."""
        if self.runs:
            self.resume()
        else:
            self.start()

    def tool(self, name: str, *words: str) -> str:
        """Return what a console tool says: `broker.tool("TopicCommand", "--list")`; names below `org.apache.kafka.tools`."""
        command = [*self._java("-XX:TieredStopAtLevel=1"), f"org.apache.kafka.tools.{name}"]
        done = subprocess.run(
            [*command, "--bootstrap-server", self.bootstrap, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=START_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def _properties(self) -> str:
        return str(self.folder / "server.properties")

    def _java(self, *options: str) -> list[str]:
        return [java(), *options, "-cp", f"{jars()}/*"]

    def _addresses(self) -> dict[str, str]:
        names = ("CLIENTS", "PROXIED", "INNER", "CONTROLLER")
        listens = (self.port, self.proxied_port, self.inner_port, self.controller_port)
        tells = (self.port, self.proxy_port, self.inner_port, self.controller_port)
        return {
            "process.roles": "broker,controller",
            "node.id": str(self.number),
            "listeners": _listeners(names, listens),
            "advertised.listeners": _listeners(names, tells),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in names),
            "inter.broker.listener.name": "INNER",
            "controller.listener.names": "CONTROLLER",
        }

    def _stands_still(self) -> bool:
        """Tell whether every thread is stopped; True of one that does not run."""
        if self._process is None or self._process.poll() is not None:
            return True
        states = [
            (task / "stat").read_text().rpartition(")")[2].split()[0]
            for task in Path(f"/proc/{self.pid}/task").iterdir()
        ]
        return set(states) <= {"T", "t"}

    def _signal(self, number: signal.Signals) -> None:
        if self.runs and self._process is not None:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None or self._guard is None or self._guard.stdin is None:
            return
        self._signal(number)
        self._signal(signal.SIGCONT)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._guard.kill()  # before its pipe closes: the pid may be another's by then
        self._guard.wait()
        self._guard.stdin.close()


def _listeners(names: Sequence[str], ports: Sequence[int]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in zip(names, ports, strict=True))


class Cluster:
    """Brokers of one cluster, numbered from 1; three by default, so that any one may be away."""

    def __init__(
        self, folder: Path, *, brokers: int = 3, heap: str = "384m", more: Mapping[str, str] | None = None
    ) -> None:
        every = {**settings(brokers), **(more or {})}
        numbers = range(1, brokers + 1)
        self.brokers = [Broker(folder / str(n), number=n, heap=heap, more=every) for n in numbers]
        self._id = cluster_id()

    @property
    def bootstrap(self) -> str:
        return ",".join(broker.bootstrap for broker in self.brokers)

    @property
    def proxied(self) -> str:
        return ",".join(broker.proxied for broker in self.brokers)

    def start(self) -> None:
        """Make them and start them, together: alone none of them gets ready."""
        voters = ",".join(f"{broker.number}@127.0.0.1:{broker.controller_port}" for broker in self.brokers)
        for broker in self.brokers:
            broker.format(self._id, voters)
            broker.begin()
        for broker in self.brokers:
            broker.ready()
        # By the brokers' own listener: a test may ask its clients for a password.
        warm_up(",".join(f"127.0.0.1:{broker.inner_port}" for broker in self.brokers))

    def stop(self) -> None:
        """End them all; nothing is kept, so nobody waits for their data."""
        for broker in self.brokers:
            broker.kill()

    def heal(self) -> None:
        """Let every broker serve again, whatever a test did."""
        ended = [broker for broker in self.brokers if not broker.runs]
        for broker in self.brokers:
            broker.resume() if broker.runs else broker.begin()
        for broker in ended:
            broker.ready()

    def leader(self, topic: str, partition: int) -> Broker:
        """Return the broker that leads this partition, once one does."""
        number = _until(self.bootstrap, topic, partition, lambda found: found.leader >= 0).leader
        return next(broker for broker in self.brokers if broker.number == number)

    def move_leader(self, topic: str, partition: int) -> Broker:
        """Let the next of its replicas lead this partition, without a stop of anybody; return the new leader."""
        old = self.leader(topic, partition)
        numbers = [broker.number for broker in self.brokers]
        turn = numbers.index(old.number) + 1
        new = self.brokers[turn % len(numbers)]
        place = {"topic": topic, "partition": partition}
        plan = self.brokers[0].folder / "plan.json"
        plan.write_text(json.dumps({"partitions": [{**place, "replicas": numbers[turn:] + numbers[:turn]}]}))
        old.tool("reassign.ReassignPartitionsCommand", "--reassignment-json-file", str(plan), "--execute")
        _until(self.bootstrap, topic, partition, lambda found: new.number in found.isrs)
        plan.write_text(json.dumps({"partitions": [place]}))
        old.tool("LeaderElectionCommand", "--election-type", "preferred", "--path-to-json-file", str(plan))
        _until(self.bootstrap, topic, partition, lambda found: found.leader == new.number)
        return new


def _until(bootstrap: str, topic: str, partition: int, true: Callable[[PartitionMetadata], bool]) -> PartitionMetadata:
    """Return what the brokers say about a partition, once that is true of it."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    deadline = time.monotonic() + START_S
    while True:
        found = admin.list_topics(topic, timeout=START_S).topics[topic].partitions.get(partition)
        if found is not None and true(found):
            return found
        assert time.monotonic() < deadline, f"{topic}-{partition} never came to that: {found}"
