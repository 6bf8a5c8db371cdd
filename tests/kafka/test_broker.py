"""The brokers of the tests do what the tests of faults take for granted."""

import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from .broker import Broker, Cluster
from .fixtures import Server, delete

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(400)  # brokers on a busy machine take their time to start


def make_topic(bootstrap: str, partitions: int = 1, copies: int = 1) -> str:
    name = f"t{uuid.uuid4().hex[:12]}.topic"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, partitions, copies)])[name].result(60)
    return name


def wait_listed(bootstrap: str, holds: Callable[[set[str]], bool]) -> set[str]:
    """Return the topics once the broker speaks of what it has made, or deleted."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    deadline = time.monotonic() + 60
    while not holds(topics := set(admin.list_topics(timeout=20).topics)):
        assert time.monotonic() < deadline, topics
    return topics


def write(bootstrap: str, topic: str, value: bytes, seconds: float = 60) -> KafkaError | None:
    """Return the error that came of it, None once the brokers have it."""
    told: list[KafkaError | None] = []
    producer = Producer({"bootstrap.servers": bootstrap, "delivery.timeout.ms": int(seconds * 1_000), "log_level": 0})
    producer.produce(topic, value, partition=0, on_delivery=lambda error, _: told.append(error))
    producer.flush(seconds + 5)
    return told[0]


def read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": topic, "auto.offset.reset": "earliest", "log_level": 0}
    )
    try:
        consumer.subscribe([topic])
        return [bytes(message.value() or b"") for message in consumer.consume(count, 60)]
    finally:
        consumer.close()


def is_alive(pid: int) -> bool:
    """Return whether it runs; a zombie that nobody reaps does not."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_what_a_broker_acknowledged_is_there_after_it_was_killed_and_started_again(broker: Broker) -> None:
    topic = make_topic(broker.bootstrap)
    assert write(broker.bootstrap, topic, b"kept") is None
    before = broker.pid
    broker.restart()
    assert broker.pid != before
    assert read(broker.bootstrap, topic, 1) == [b"kept"]


def test_a_paused_broker_answers_nobody_until_it_is_resumed(broker: Broker) -> None:
    topic = make_topic(broker.bootstrap)
    broker.pause()
    error = write(broker.bootstrap, topic, b"lost", seconds=1)
    assert error is not None
    assert error.code() in {KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT}
    broker.resume()
    assert write(broker.bootstrap, topic, b"taken") is None
    assert read(broker.bootstrap, topic, 1) == [b"taken"]


def test_a_stopped_broker_is_healed_after_the_test_that_stopped_it(broker: Broker) -> None:
    broker.stop()
    assert not broker.runs
    broker.heal()
    assert write(broker.bootstrap, make_topic(broker.bootstrap), b"again") is None


def test_a_broker_of_its_own_settings_has_them(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker({"message.max.bytes": "4321"})
    topic = make_topic(broker.bootstrap)
    error = write(broker.bootstrap, topic, bytes(5_000))
    assert error is not None
    assert error.code() == KafkaError.MSG_SIZE_TOO_LARGE


@pytest.mark.usefixtures("own_broker")
def test_a_broker_is_gone_once_who_started_it_is(tmp_path: Path) -> None:
    script = tmp_path / "starts.py"
    script.write_text(
        "import importlib, os, signal, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\n"
        "Cluster = importlib.import_module('tests.kafka.broker').Cluster\n"
        "cluster = Cluster(Path(sys.argv[1]), brokers=1)\n"
        "cluster.start()\n"
        "print(cluster.brokers[0].pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, script, tmp_path / "data"], capture_output=True, text=True, check=False)
    pid = int(done.stdout)
    deadline = time.monotonic() + 60
    while is_alive(pid):
        assert time.monotonic() < deadline, f"broker {pid} outlives its test"


def test_the_console_tools_read_it(broker: Broker) -> None:
    topic = make_topic(broker.bootstrap, partitions=2)
    assert topic in broker.tool("TopicCommand", "--list")
    assert f"{topic}:1:0" in broker.tool("GetOffsetShell", "--topic", topic)


def test_what_a_test_wrote_is_deleted_and_nothing_else(kafka: Server) -> None:
    mine, other = make_topic(kafka.bootstrap), make_topic(kafka.bootstrap)
    wait_listed(kafka.bootstrap, lambda topics: {mine, other} <= topics)
    delete(kafka.bootstrap, mine.removesuffix(".topic"))
    assert other in wait_listed(kafka.bootstrap, lambda topics: mine not in topics)


def test_three_brokers_keep_what_they_acknowledged_when_the_leader_is_killed(cluster: Cluster) -> None:
    topic = make_topic(cluster.bootstrap, copies=3)
    assert write(cluster.bootstrap, topic, b"kept") is None
    old = cluster.leader(topic, 0)
    old.kill()
    assert write(cluster.bootstrap, topic, b"taken by another") is None
    assert cluster.leader(topic, 0) is not old
    assert read(cluster.bootstrap, topic, 2) == [b"kept", b"taken by another"]


def test_a_leader_moves_without_a_stop(cluster: Cluster) -> None:
    topic = make_topic(cluster.bootstrap, copies=3)
    old = cluster.leader(topic, 0)
    new = cluster.move_leader(topic, 0)
    assert new is not old
    assert all(broker.runs for broker in cluster.brokers)
    assert write(cluster.bootstrap, topic, b"moved") is None


def run_without_kafka(tmp_path: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    """Run tests that need a Kafka on a machine that has nothing to run one with."""
    names = ("test_the_console_tools_read_it", "test_what_a_test_wrote_is_deleted_and_nothing_else")
    environment = {
        "PATH": str(tmp_path),
        "HOME": str(tmp_path),
        "DOCKER_HOST": f"unix://{tmp_path}/no-docker.sock",
        "PYTHONDONTWRITEBYTECODE": "1",
        **more,
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *(f"{__file__}::{name}" for name in names),
    ]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_without_a_kafka_the_last_line_says_how_many_did_not_run_and_why(tmp_path: Path) -> None:
    done = run_without_kafka(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.strip().splitlines()[-1]
    assert "2 skipped" in last
    assert "NOT RUN: no Kafka: no Java 17 (1)" in last
    assert "NOT RUN: no Kafka: HMS_TEST_KAFKA is not set, no Docker engine, no Java 17 (1)" in last


def test_in_ci_a_test_without_a_kafka_fails(tmp_path: Path) -> None:
    done = run_without_kafka(tmp_path, CI="true")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 errors" in done.stdout
    assert "no Java 17 (CI=true: a test that cannot run is a failure)" in done.stdout


def test_a_given_kafka_that_is_not_there_is_an_error_not_a_skip(tmp_path: Path) -> None:
    done = run_without_kafka(tmp_path, HMS_TEST_KAFKA="127.0.0.1:1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "HMS_TEST_KAFKA=127.0.0.1:1 does not answer" in done.stdout
