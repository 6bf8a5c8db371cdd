"""`hms log init` on a real Kafka: made once, never changed, refused with the line that repairs, with the rights it needs."""

import asyncio
import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from hms.core.errors import LogUnreachable, ValidationFailed
from hms.core.log.kafka import KafkaLog
from hms.core.log.kafka.address import KafkaAddress
from hms.core.log.kafka.creation import create, look
from hms.core.log.open import open_log
from hms.core.log.port import TOPICS

from ..command import HMS
from .broker import Broker, Cluster
from .fixtures import delete
from .handles import opened
from .test_doctor import alter
from .tools import paste

pytestmark = pytest.mark.timeout(400)  # each line that is pasted starts a JVM, and each command a process


def init(url: str, *words: str) -> tuple[int, dict[str, Any], str]:
    """Run the command; return its exit code, what it says in JSON, and what it says to people."""
    command = [*HMS, "log", "init", "--log", url, "-o", "json", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def states(made: dict[str, Any]) -> set[str]:
    return {topic["state"] for topic in made["topics"]}


@pytest.fixture
def own_prefix(broker: Broker) -> Iterator[str]:
    """Give the URL of a log on a broker whose tools can be run."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    yield f"kafka://{broker.bootstrap}/{prefix}"
    delete(broker.bootstrap, prefix)


def test_a_log_is_planned_then_made_once_and_making_it_again_changes_nothing(kafka_url: str) -> None:
    code, planned, said = init(kafka_url, "--plan")
    assert (code, planned["made"], states(planned)) == (0, False, {"missing"})
    assert "would make 10 topics with 16 partitions" in said
    assert asyncio.run(look(KafkaAddress.parse(kafka_url))).cluster.topics == {}
    code, made, said = init(kafka_url)
    assert (code, made["made"], made["partitions"], states(made)) == (0, True, 16, {"made"})
    code, again, said = init(kafka_url)
    assert (code, again["made"], states(again)) == (0, False, {"there"})
    assert "everything is there and as it should be" in said
    assert [{**topic, "state": ""} for topic in again["topics"]] == [{**topic, "state": ""} for topic in made["topics"]]


def test_the_topics_of_a_log_are_what_the_design_says(kafka_url: str) -> None:
    _, made, _ = init(kafka_url, "--partitions", "3")
    prefix = KafkaAddress.parse(kafka_url).prefix
    found = {topic["topic"].removeprefix(f"{prefix}."): topic for topic in made["topics"]}
    assert set(found) == {*(name.removeprefix("hms.") for name in TOPICS), "settings"}
    assert {name for name, topic in found.items() if topic["partitions"] == 1} == {"schemas", "settings"}
    compacted = {name for name, topic in found.items() if topic["settings"]["cleanup.policy"] == "compact"}
    assert compacted == {"checkpoints", "schemas", "settings"}
    kept = [topic["settings"] for name, topic in found.items() if name not in compacted]
    assert {(one["retention.ms"], one["retention.bytes"]) for one in kept} == {("-1", "-1")}
    assert {topic["settings"]["message.timestamp.type"] for topic in found.values()} == {"LogAppendTime"}

    async def main() -> int:
        log = await open_log(kafka_url)
        await log.close()
        return log.partitions

    assert asyncio.run(main()) == 3


def test_the_number_of_partitions_is_for_ever_and_copies_need_brokers(kafka_url: str) -> None:
    code, _, said = init(kafka_url, "--partitions", "0")
    assert (code, "0 partitions: expected 1 to 4096" in said) == (1, True)
    code, _, said = init(kafka_url, "--replication", "9")
    assert (code, "9 copies of each topic: expected 1 to" in said) == (1, True)
    assert init(kafka_url, "--partitions", "2")[0] == 0
    code, _, said = init(kafka_url, "--partitions", "4")
    assert (code, "has 2 partitions, for ever" in said) == (1, True)
    assert init(kafka_url)[1]["partitions"] == 2


def test_a_log_that_was_made_half_way_is_made_to_its_end(kafka_url: str) -> None:
    address = KafkaAddress.parse(kafka_url)
    admin = AdminClient({"bootstrap.servers": address.bootstrap[0]})
    wanted = asyncio.run(look(address, 5)).wanted
    first = [name for name in wanted if "inbox" in name]
    new = [NewTopic(name, 5, 1, config=dict(wanted[name].settings)) for name in first]
    for done in admin.create_topics(new).values():
        done.result(20)
    deadline = time.monotonic() + 60
    while len(asyncio.run(look(address)).missing) > len(wanted) - len(first):
        assert time.monotonic() < deadline
    code, made, _ = init(kafka_url)
    assert (code, made["made"], made["partitions"]) == (0, True, 5)
    assert {topic["topic"] for topic in made["topics"] if topic["state"] == "there"} == set(first)


def test_two_who_make_a_log_at_once_make_one_log(kafka_url: str) -> None:
    address = KafkaAddress.parse(kafka_url)

    async def main() -> list[BaseException | None]:
        plans = await asyncio.gather(look(address, 2), look(address, 2))
        ends = await asyncio.gather(*(create(address, plan) for plan in plans), return_exceptions=True)
        assert (await look(address)).whole
        return list(ends)

    assert asyncio.run(main()) == [None, None]


def test_two_who_make_a_log_of_different_sizes_at_once_do_not_both_believe_it(kafka_url: str) -> None:
    address = KafkaAddress.parse(kafka_url)

    async def main() -> None:
        small, large = await look(address, 2), await look(address, 3)
        await create(address, small)
        with pytest.raises(ValidationFailed, match="was made with 2 partitions at the same moment"):
            await create(address, large)
        assert (await look(address)).deviations == ()

    asyncio.run(main())


def test_a_log_that_was_not_made_is_refused_with_the_line_that_makes_it(kafka_url: str) -> None:
    done = subprocess.run([*HMS, "log", "info", "--log", kafka_url], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"hms log init --log {kafka_url}" in done.stderr


def test_wrong_topics_are_refused_and_the_lines_that_are_printed_repair_them(
    own_prefix: str, broker: Broker, tmp_path: Path
) -> None:
    address = KafkaAddress.parse(own_prefix)
    assert init(own_prefix, "--partitions", "2")[0] == 0
    alter(broker.bootstrap, address.topic("events"), "retention.ms", "3600000")
    alter(broker.bootstrap, address.topic("inbox.low"), "message.timestamp.type", "CreateTime")
    alter(broker.bootstrap, address.topic("outbox"), "min.insync.replicas", "2")
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for name in ("dead-letters", "schemas"):
        admin.delete_topics([address.topic(name)])[address.topic(name)].result(20)
    admin.create_topics([NewTopic(address.topic("dead-letters"), 1, 1)])[address.topic("dead-letters")].result(20)
    deadline = time.monotonic() + 60
    while len((plan := asyncio.run(look(address))).refused) < 6 or not plan.missing:
        assert time.monotonic() < deadline, plan.refused
    code, refused, said = init(own_prefix)
    assert (code, refused["made"]) == (1, False)
    assert "nothing was made; run the lines above, then this again" in said
    wrong = {
        topic["topic"].removeprefix(f"{address.prefix}.") for topic in refused["topics"] if topic["state"] == "wrong"
    }
    assert wrong == {"events", "inbox.low", "outbox", "dead-letters"}
    assert next(topic["state"] for topic in refused["topics"] if topic["topic"].endswith("schemas")) == "missing"
    paste([one["repair"] for one in refused["deviations"]], tmp_path)
    deadline = time.monotonic() + 60
    while asyncio.run(look(address)).deviations:
        assert time.monotonic() < deadline, asyncio.run(look(address)).deviations
    code, made, _ = init(own_prefix)
    assert (code, states(made)) == (0, {"there", "made"})
    assert asyncio.run(look(address)).whole


def test_text_shows_what_is_wrong_as_comments_and_what_repairs_it_as_lines_to_paste(kafka_url: str) -> None:
    address = KafkaAddress.parse(kafka_url)
    asyncio.run(_make(address))
    admin = AdminClient({"bootstrap.servers": address.bootstrap[0]})
    admin.create_partitions([NewPartitions(address.topic("schemas"), 2)])[address.topic("schemas")].result(20)
    deadline = time.monotonic() + 60
    while not asyncio.run(look(address)).deviations:
        assert time.monotonic() < deadline
    command = [*HMS, "log", "init", "--log", kafka_url, "--acls"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    at = lines.index(f"# wrong: {address.topic('schemas')}: the number of partitions is 2, expected 1")
    assert lines[at + 1].startswith("hms log init --log ")
    roles = [line.partition(":")[0] for line in lines if line.startswith("# hms-")]
    assert roles == ["# hms-node", "# hms-client", "# hms-reader", "# hms-operator"]


async def _make(address: KafkaAddress) -> None:
    await create(address, await look(address, 2))


def test_three_brokers_get_three_copies_and_a_topic_with_one_is_spread_by_the_line_that_is_printed(
    cluster: Cluster, tmp_path: Path
) -> None:
    prefix = f"t{uuid.uuid4().hex[:12]}"
    url = f"kafka://{cluster.bootstrap}/{prefix}"
    address = KafkaAddress.parse(url)
    single = address.topic("events")
    settings = dict(asyncio.run(look(address, 2)).wanted[single].settings)
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.create_topics([NewTopic(single, 2, 1, config={**settings, "min.insync.replicas": "1"})])[single].result(20)
    deadline = time.monotonic() + 60
    while not asyncio.run(look(address)).deviations:
        assert time.monotonic() < deadline
    code, made, _ = init(url, "--partitions", "2")
    assert (code, {topic["replicas"] for topic in made["topics"] if topic["state"] == "made"}) == (0, {3})
    assert {topic["settings"]["min.insync.replicas"] for topic in made["topics"] if topic["state"] == "made"} == {"2"}
    (risk,) = made["deviations"]
    assert (risk["topic"], risk["what"], risk["grave"]) == (single, "the number of replicas", False)
    paste([risk["repair"]], tmp_path)
    deadline = time.monotonic() + 60
    rest = asyncio.run(look(address)).deviations
    while [one.what for one in rest] != ["min.insync.replicas"]:
        assert time.monotonic() < deadline, rest
        rest = asyncio.run(look(address)).deviations
    paste([rest[0].repair], tmp_path)
    deadline = time.monotonic() + 60
    while found := init(url)[1]["deviations"]:  # the brokers hear of it one after another
        assert time.monotonic() < deadline, found


async def _ask_on(log: KafkaLog) -> None:
    """Ask for ever: a broker hears a moment later that a topic is deleted."""
    while True:
        await log.watermarks("hms.events", 0)


def test_looking_makes_no_topic_even_where_the_brokers_would(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker({"auto.create.topics.enable": "true"})
    url = f"kafka://{broker.bootstrap}/shop"
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for words in (("node", "list"), ("node",), ("log", "init", "--plan"), ("doctor",)):
        done = subprocess.run([*HMS, *words, "--log", url], capture_output=True, text=True, timeout=60, check=False)
        assert "hms log init" in done.stdout + done.stderr or words[0] == "log"
    assert [name for name in admin.list_topics(timeout=20).topics if name.startswith("shop")] == []

    async def main() -> None:
        await _make(KafkaAddress.parse(url))
        async with opened(broker.bootstrap, "shop") as [log]:
            admin.delete_topics(["shop.events"])["shop.events"].result(20)
            with pytest.raises(LogUnreachable, match=r"the topic shop\.events is not there"):
                await _ask_on(log)
        assert "shop.events" not in admin.list_topics(timeout=20).topics

    asyncio.run(main())
