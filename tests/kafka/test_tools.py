"""What others' tools see of a log, and what they can do with it: confluent-kafka and Kafka's own, without HMS between."""

import asyncio
import hashlib
import io
import json
import re
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import Consumer, Producer, TopicPartition

from hms.core.client import connect
from hms.core.log.kafka import KafkaAddress, KafkaLog
from hms.core.log.port import EVENTS, NORMAL, Draft
from hms.core.testing.log_conformance.harness import read_all
from hms.core.testing.simulation.cast import Deposit, account

from ..command import HMS
from .fixtures import Server
from .logs import make_log, opened
from .tools import TOOLS, put_tools

APP = "hms.core.testing.simulation.cast:app"
PARTITIONS = 2
SEEN_S = 60

Record = tuple[bytes | None, bytes | None, dict[str, bytes]]
"""Key, value and headers."""


@contextmanager
def node(url: str, folder: Path) -> Iterator[None]:
    """Make the log and run a node on it."""
    asyncio.run(make_log(url, PARTITIONS))
    command = [*HMS, "node", "--log", url, "--app", APP, "--name", "one"]
    with (folder / "node.err").open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(60) == 0, (folder / "node.err").read_text()


def consumer(kafka: Server, isolation: str = "read_committed") -> Consumer:
    return Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": "looker", "enable.auto.commit": False, "log_level": 0}
        | {"isolation.level": isolation, "enable.partition.eof": True}
    )


def records(kafka: Server, topic: str, partitions: int = PARTITIONS, isolation: str = "read_committed") -> list[Record]:
    """Return what a consumer sees of a topic, from its beginning to its end of now."""
    looking = consumer(kafka, isolation)
    try:
        looking.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
        found: list[Record] = []
        ends, deadline = 0, time.monotonic() + SEEN_S
        while ends < partitions:
            assert time.monotonic() < deadline, f"{topic} has no end"
            message = looking.poll(1)
            if message is not None and message.error():
                ends += 1
            elif message is not None:
                found.append((message.key(), message.value(), dict(message.headers() or ())))
        return found
    finally:
        looking.close()


async def deposit(url: str, count: int) -> None:
    async with connect(url, name="ann") as client:
        for number in range(count):
            await client.ask(account("anna"), Deposit(cents=5), id=f"d{number}", timeout_ms=60_000)


def test_a_plain_consumer_reads_keys_headers_and_with_the_logs_own_schemas_the_values(
    kafka: Server, kafka_url: str, tmp_path: Path
) -> None:
    topic = KafkaAddress.parse(kafka_url).topic
    with node(kafka_url, tmp_path):
        asyncio.run(deposit(kafka_url, 3))
    events = [record for record in records(kafka, topic(EVENTS)) if record[0] == b"account/anna"]
    assert len(events) == 3
    schemas = {int(key or b""): json.loads(value or b"") for key, value, _ in records(kafka, topic("hms.schemas"), 1)}
    for number, (_, value, headers) in enumerate(events):
        assert headers["ce_specversion"] == b"1.0"
        assert headers["ce_type"] == b"cast.Deposited"
        assert headers["ce_source"] == b"account/anna"
        assert headers["content-type"] == b"application/avro"
        assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-01", headers["traceparent"])
        read = decoded(value or b"", schemas)
        assert read["cents"] == 5
        assert read["envelope"]["causation_id"] == f"d{number}"
        assert read["envelope"]["id"].encode() == headers["ce_id"]


def decoded(value: bytes, schemas: dict[int, Any]) -> Any:
    """Return a value as fastavro alone reads it."""
    assert value[:1] == b"\0"
    schema = fastavro.parse_schema(schemas[int.from_bytes(value[1:5], "big")])
    return fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)


def test_a_plain_producer_with_the_exported_schema_submits_a_task_and_hears_the_answer(
    kafka: Server, kafka_url: str, tmp_path: Path
) -> None:
    topic = KafkaAddress.parse(kafka_url).topic
    with node(kafka_url, tmp_path):
        subprocess.run([*HMS, "schema", "export", str(tmp_path / "avsc"), "--log", kafka_url], check=True, timeout=60)
        schemas = wait_for_schemas(kafka, topic("hms.schemas"))
        body = json.loads((tmp_path / "avsc" / "hms.SubmitTask.avsc").read_text())
        (envelope_field,) = next(iter(schemas.values()))["fields"][-1:]
        wire = {**body, "fields": [*body["fields"], envelope_field]}
        me, id_ = "client/shell", str(uuid.uuid4())
        envelope = {"id": id_, "source": me, "destination": "meta_supervisor/main", "type": "hms.SubmitTask"}
        more = {"at": time.time_ns() // 1_000, "correlation_id": id_, "reply_to": f"{me}/{id_}"}
        parameters = {"parameters_json": json.dumps({"component_id": "web"})}
        task = {"id": "t1", "type": "Recovery", **parameters, "envelope": {**envelope, **more}}
        ask(kafka, topic(NORMAL), "meta_supervisor/main", framed(wire, task, schemas))
        value = answer_to(kafka, topic("hms.outbox"), f"{me}/{id_}".encode())
    answer = decoded(value, schemas)
    assert answer["envelope"]["causation_id"] == id_
    assert answer["envelope"]["type"] == "hms.TaskStatus", answer
    assert (answer["id"], answer["type"]) == ("t1", "Recovery")


def wait_for_schemas(kafka: Server, topic: str) -> dict[int, Any]:
    """Return the log's schemas by id, once the node has published what it uses."""
    deadline = time.monotonic() + SEEN_S
    while True:
        found = {int(key or b""): json.loads(value or b"") for key, value, _ in records(kafka, topic, 1)}
        if any(schema["name"] == "hms.SubmitTask" for schema in found.values()):
            return found
        assert time.monotonic() < deadline, f"the node published {len(found)} schemas"


def framed(schema: dict[str, Any], record: dict[str, Any], known: dict[int, Any]) -> bytes:
    """Return a record as it travels; its schema's id follows from the schema itself, and is the one in the log."""
    plain = json.dumps(without_docs(schema), sort_keys=True, separators=(",", ":"))
    number = int.from_bytes(hashlib.sha256(plain.encode()).digest()[:4], "big") & 0x7FFFFFFF
    assert number in known, "expected the id of the exported schema to be one of the log's"
    value = io.BytesIO()
    fastavro.schemaless_writer(value, fastavro.parse_schema(schema), record)
    return b"\0" + number.to_bytes(4, "big") + value.getvalue()


def without_docs(schema: Any) -> Any:
    if isinstance(schema, list):
        return [without_docs(branch) for branch in schema]
    if isinstance(schema, dict):
        return {name: without_docs(part) for name, part in schema.items() if name != "doc"}
    return schema


def ask(kafka: Server, topic: str, to: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "partitioner": "murmur2_random", "log_level": 0})
    producer.produce(topic, value, to)
    assert producer.flush(20) == 0


def answer_to(kafka: Server, topic: str, key: bytes) -> bytes:
    """Return the answer, once it is in the outbox."""
    deadline = time.monotonic() + SEEN_S
    while True:
        for found, value, _ in records(kafka, topic):
            if found == key and value is not None:
                return value
        assert time.monotonic() < deadline, f"no answer for {key!r}"


def test_group_tools_show_the_lag_of_the_shards(kafka: Server, kafka_url: str, tmp_path: Path) -> None:
    put_tools(tmp_path)
    prefix = KafkaAddress.parse(kafka_url).prefix
    tool = [str(tmp_path / next(name for name in TOOLS if "consumer-groups" in name))]
    asked = [*tool, "--bootstrap-server", kafka.bootstrap, "--describe", "--group", f"{prefix}-shards"]
    for _ in range(3):  # a node that ends waits a few seconds, and no longer, for the broker to take its last positions
        with node(kafka_url, tmp_path):
            asyncio.run(deposit(kafka_url, 10))
        shown = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout
        rows = [line.split() for line in shown.splitlines() if f"{prefix}.inbox." in line]
        lag = {(row[1], int(row[2])): (int(row[3]), int(row[4]), int(row[5])) for row in rows}
        if len(lag) == 4 * PARTITIONS and not any(behind for _, _, behind in lag.values()):
            break
    assert len(lag) == 4 * PARTITIONS, shown
    assert sum(position for (topic, _), (position, _, _) in lag.items() if topic.endswith("inbox.normal")) >= 10
    assert all(behind == end - position == 0 for position, end, behind in lag.values()), shown


def test_a_read_committed_consumer_sees_exactly_what_was_committed(kafka: Server, kafka_url: str) -> None:
    async def write() -> list[tuple[bytes, bytes | None]]:
        await make_log(kafka_url, PARTITIONS)
        async with opened(kafka_url) as log:
            await half_of_it_committed(log)
            return [(record.key, record.value) for record in await read_all(log, EVENTS, 1)]

    committed = asyncio.run(write())
    topic = KafkaAddress.parse(kafka_url).topic(EVENTS)
    seen = [(key, value) for key, value, _ in records(kafka, topic)]
    everything = [(key, value) for key, value, _ in records(kafka, topic, isolation="read_uncommitted")]
    assert seen == committed == [(b"account/anna", f"kept {number}".encode()) for number in range(6)]
    written = [value for _, value in everything if value]  # the empty ones prove the leader to each new owner
    assert len(written) == 2 * len(seen), "expected the others to be there too, for those who do not ask for less"


async def half_of_it_committed(log: KafkaLog) -> None:
    """Commit two records, then leave two in a transaction that its successor ends; three times."""
    for number in range(0, 6, 2):
        writer = await log.open_writer(1, "one")
        await writer.commit([_draft(f"kept {number}"), _draft(f"kept {number + 1}")])
        stranger = Producer(_transactional(log))
        stranger.init_transactions(20)
        stranger.begin_transaction()
        address = KafkaAddress.parse(log.url)
        for _ in range(2):
            stranger.produce(address.topic(EVENTS), b"never", b"account/anna", partition=1)
        assert stranger.flush(20) == 0
        stranger.abort_transaction(20)


def _transactional(log: KafkaLog) -> dict[str, Any]:
    address = KafkaAddress.parse(log.url)
    servers = ",".join(address.bootstrap)
    return {"bootstrap.servers": servers, "transactional.id": f"{address.prefix}-never", "log_level": 0}


def _draft(value: str) -> Draft:
    return Draft(EVENTS, 1, b"account/anna", value.encode())
