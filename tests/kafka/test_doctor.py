"""The doctor on a real Kafka: every trap that it can see, really set."""

import asyncio
import json
import os
import re
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from hms.console.cli.doctor.check import Check
from hms.console.cli.doctor.kafka import kafka_checks
from hms.core.log.kafka.address import KafkaAddress
from hms.core.log.kafka.creation import create, look
from hms.core.testing.log_conformance.harness import eventually

from ..command import HMS
from .broker import Broker
from .fixtures import Server, delete

pytestmark = pytest.mark.timeout(300)  # a broker of its own takes its time to start


def make(url: str, partitions: int = 2) -> KafkaAddress:
    address = KafkaAddress.parse(url)

    async def main() -> None:
        await create(address, await look(address, partitions))

    asyncio.run(main())
    return address


def checks(url: str) -> dict[str, Check]:
    """Return what is not ok, by name."""
    return {check.name: check for check in asyncio.run(kafka_checks(url)) if check.outcome != "ok"}


def in_time(url: str, name: str, outcome: str = "fail") -> Check:
    """Return that check once it comes to that: what was changed has a way to go through the cluster."""
    deadline = time.monotonic() + 60
    while (check := checks(url).get(name)) is None or check.outcome != outcome:
        assert time.monotonic() < deadline, f"{name}: {check}"
    return check


def well(url: str) -> None:
    """Return once all is well: of a broker that is busy for a second the doctor says that it is slow."""
    deadline = time.monotonic() + 60
    while found := checks(url):
        assert time.monotonic() < deadline, found


def doctor(url: str, folder: Path) -> tuple[int, dict[str, dict[str, str]]]:
    """Run the command; return its exit code and its checks."""
    environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
    command = [*HMS, "doctor", "--log", url, "-o", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, {check["name"]: check for check in json.loads(done.stdout)}


def alter(bootstrap: str, topic: str, setting: str, value: str) -> None:
    """Set one setting of a topic, as an operator would, and wait until the cluster tells it."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result(20)
    plain = ConfigResource(ResourceType.TOPIC, topic)
    deadline = time.monotonic() + 60
    while admin.describe_configs([plain])[plain].result(20)[setting].value != value:
        assert time.monotonic() < deadline, f"{setting}={value} was not taken"


@pytest.fixture(scope="module")
def made(kafka: Server) -> Iterator[KafkaAddress]:
    """Give a log that is well, for those who change it back or do not change it."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    yield make(f"kafka://{kafka.bootstrap}/{prefix}")
    delete(kafka.bootstrap, prefix)


def test_a_log_that_is_well_gives_no_word_of_warning(made: KafkaAddress, tmp_path: Path) -> None:
    well(made.url)
    deadline = time.monotonic() + 60
    while True:
        code, found = doctor(made.url, tmp_path)
        worth_a_word = {name for name, check in found.items() if check["outcome"] != "ok"}
        if (code, worth_a_word) == (0, {"nodes"}):  # none runs
            break
        assert time.monotonic() < deadline, found
    assert {"compression", "brokers", "transactions", "kafka clock", "topics", "topic settings", "log"} <= found.keys()


def test_a_transaction_of_the_doctor_leaves_nothing_for_a_reader(made: KafkaAddress) -> None:
    from hms.core.log.open import open_log  # noqa: PLC0415

    async def main() -> None:
        log = await open_log(made.url)
        before = [(await log.watermarks("hms.outbox", shard)).high for shard in range(2)]
        assert all(check.outcome != "fail" for check in await kafka_checks(made.url))
        marks = [await log.watermarks("hms.outbox", shard) for shard in range(2)]
        assert sum(mark.high for mark in marks) > sum(before), "it tried"

        async def nothing_hides() -> bool:
            marks = [await log.watermarks("hms.outbox", shard) for shard in range(2)]
            return all(mark.stable == mark.high for mark in marks)

        await eventually(nothing_hides, "the marker of what it has aborted")
        assert all([(await log.read("hms.outbox", shard, 0)).records == [] for shard in range(2)])
        await log.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("topic", "setting", "value", "outcome"),
    [
        ("events", "retention.ms", "3600000", "fail"),
        ("inbox.critical", "retention.bytes", "1000000", "fail"),
        ("inbox.normal", "cleanup.policy", "compact", "fail"),
        ("checkpoints", "cleanup.policy", "delete", "fail"),
        ("inbox.low", "message.timestamp.type", "CreateTime", "fail"),
        ("dead-letters", "max.message.bytes", "500000", "fail"),
        ("outbox", "min.insync.replicas", "2", "fail"),
        ("events", "unclean.leader.election.enable", "true", "fail"),
        ("schemas", "compression.type", "gzip", "warn"),
    ],
)
def test_a_wrong_setting_is_found_with_the_line_that_repairs_it(
    made: KafkaAddress, topic: str, setting: str, value: str, outcome: str
) -> None:
    name = made.topic(topic)
    right = asyncio.run(look(made)).cluster.topics[name].settings[setting]
    alter(made.bootstrap[0], name, setting, value)
    try:
        found = checks(made.url)
    finally:
        alter(made.bootstrap[0], name, setting, right)
    check = found["topic settings"]
    assert (check.outcome, f"{name}: {setting} is {value}" in check.seen) == (outcome, True)
    assert check.todo == (
        f"kafka-configs.sh --bootstrap-server {made.bootstrap[0]} --alter --entity-type topics --entity-name {name} "
        f"--add-config {setting}={right}"
    )
    assert "topic settings" not in checks(made.url)


def test_partitions_that_somebody_added_are_found(kafka_url: str, tmp_path: Path) -> None:
    address = make(kafka_url)
    admin = AdminClient({"bootstrap.servers": address.bootstrap[0]})
    admin.create_partitions([NewPartitions(address.topic("events"), 3)])[address.topic("events")].result(20)
    check = in_time(kafka_url, "topic settings")
    assert "the number of partitions is 3, expected 2" in check.seen
    assert check.todo == f"hms log init --log {address.url}-3 --partitions 3"
    code, found = doctor(kafka_url, tmp_path)
    assert (code, found["log"]["outcome"]) == (1, "fail")
    assert "has 3 partitions, expected 2" in found["log"]["seen"]


def test_a_topic_that_was_deleted_or_made_by_a_slip_is_found(kafka_url: str) -> None:
    address = make(kafka_url)
    admin = AdminClient({"bootstrap.servers": address.bootstrap[0]})
    slip = address.topic("evnets")
    admin.create_topics([NewTopic(slip, 1, 1)])[slip].result(20)
    assert slip in in_time(kafka_url, "topics", "warn").seen
    admin.delete_topics([address.topic("schemas")])[address.topic("schemas")].result(20)
    assert in_time(kafka_url, "topics", "fail").seen == f"missing: {address.topic('schemas')}"


def test_no_log_and_no_cluster_are_told_apart_and_nothing_is_made_by_looking(kafka_url: str, tmp_path: Path) -> None:
    code, found = doctor(kafka_url, tmp_path)
    assert (code, found["topics"]["todo"]) == (1, f"hms log init --log {kafka_url}")
    assert "log" not in found
    assert asyncio.run(look(KafkaAddress.parse(kafka_url))).cluster.topics == {}
    code, found = doctor("kafka://127.0.0.1:1/none", tmp_path)
    assert (code, found["kafka"]["outcome"]) == (1, "fail")
    assert "127.0.0.1:1" in found["kafka"]["seen"]


def test_a_broker_of_many_wrong_settings_hears_of_each(make_broker: Callable[..., Broker]) -> None:
    wrong = {
        "auto.create.topics.enable": "true",
        "offsets.retention.minutes": "60",
        "transactional.id.expiration.ms": "3600000",
        "group.min.session.timeout.ms": "10000",
        "transaction.max.timeout.ms": "9000",
        "transaction.partition.verification.enable": "false",
        "socket.request.max.bytes": "10000000",
    }
    broker = make_broker(wrong)
    url = f"kafka://{broker.bootstrap}/hms"
    found = [check for check in asyncio.run(kafka_checks(url)) if check.outcome != "ok"]
    said = " ".join(check.seen for check in found)
    assert [f"{name}={value}" for name, value in wrong.items() if f"{name}={value}" not in said] == []
    assert {check.name for check in found} == {
        "auto-created topics",
        "broker settings",
        "hanging transactions",
        "topics",
    }
    assert asyncio.run(look(KafkaAddress.parse(url))).cluster.topics == {}, "looking creates nothing here either"


def test_topics_that_the_broker_made_by_itself_are_called_so(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker({"auto.create.topics.enable": "true", "num.partitions": "16"})
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    producer.produce("hms.events", b"too early")
    assert producer.flush(20) == 0
    seen = checks(f"kafka://{broker.bootstrap}/hms")["topic settings"].seen
    assert "hms.events" in seen
    assert "was it created by itself?" in seen


def test_a_broker_that_cannot_reach_its_own_listener_is_found_within_seconds(
    make_broker: Callable[..., Broker], tmp_path: Path
) -> None:
    broker = make_broker({"inter.broker.listener.name": "PROXIED"})  # where nobody listens
    url = f"kafka://{broker.bootstrap}/hms"
    topics = asyncio.run(look(KafkaAddress.parse(url), 2)).wanted
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    new = [NewTopic(name, want.partitions, 1, config=dict(want.settings)) for name, want in topics.items()]
    for done in admin.create_topics(new).values():
        done.result(20)
    begun = time.monotonic()
    code, found = doctor(url, tmp_path)
    assert time.monotonic() - begun < 45  # of which a busy machine may need some to start the command
    assert (code, found["transactions"]["outcome"]) == (1, "fail")
    assert "inter.broker.listener.name" in found["transactions"]["todo"]
    assert "log" not in found


def test_a_broker_that_advertises_where_nobody_listens_is_named(broker: Broker) -> None:
    found = checks(f"kafka://127.0.0.1:{broker.proxied_port}/hms")
    assert broker.proxied in found["kafka"].seen
    assert "advertised.listeners" in found["kafka"].seen


def test_a_clock_that_is_off_is_found(made: KafkaAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 90)
    check = checks(made.url)["kafka clock"]
    assert check.outcome == "fail"
    behind = re.search(r"is (\d+\.\d) s behind", check.seen)
    assert behind is not None, check.seen
    assert abs(float(behind[1]) - 90) < 5, "exact but for the time that it took to ask"


def test_a_transaction_that_hangs_in_a_lane_is_found(kafka_url: str, tmp_path: Path) -> None:
    address = make(kafka_url)
    stranger = Producer(
        {"bootstrap.servers": address.bootstrap[0], "transactional.id": f"{address.prefix}-stranger", "log_level": 0}
    )
    stranger.init_transactions(20)
    stranger.begin_transaction()
    stranger.produce(address.topic("inbox.low"), b"never", partition=1)
    assert stranger.flush(20) == 0
    _, found = doctor(kafka_url, tmp_path)
    stranger.abort_transaction(20)
    assert (found["shards"]["outcome"], found["shards"]["seen"]) == (
        "warn",
        "a transaction that does not end hides messages of 1",
    )
    deadline = time.monotonic() + 60
    while (found := doctor(kafka_url, tmp_path)[1])["shards"]["outcome"] != "ok":
        assert time.monotonic() < deadline, found["shards"]


def test_messages_of_a_producer_with_librdkafkas_own_partitioner_are_strays(kafka_url: str, tmp_path: Path) -> None:
    address = make(kafka_url)
    for partitioner in ("murmur2_random", "consistent_random"):
        producer = Producer({"bootstrap.servers": address.bootstrap[0], "partitioner": partitioner})
        for number in range(20):
            producer.produce(address.topic("inbox.normal"), b"value", f"component/web-{number}")
        assert producer.flush(20) == 0
        check = doctor(kafka_url, tmp_path)[1]["strays"]
        assert check["outcome"] == ("ok" if partitioner == "murmur2_random" else "warn")
    assert "of the newest 40 messages, for component/web-" in check["seen"]
    assert "partitioner=murmur2_random" in check["todo"]
