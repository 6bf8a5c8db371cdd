"""Topics whose settings somebody changed under a running log: what harms is said, and nothing is lost in silence."""

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)

from hms.core.client import connect
from hms.core.log.kafka import KafkaLog
from hms.core.log.port import EVENTS
from hms.core.testing.simulation.cast import Deposit, account

from ..broker import Broker
from ..fixtures import Server
from ..handles import make
from .intensity import SEED
from .nodes import APP, HMS, Nodes
from .trial import PARTITIONS, Trial, trial


def alter(admin: AdminClient, topic: str, **settings: str) -> None:
    """Set a topic's settings, those named only; `_` in a name stands for a dot."""
    entries = [
        ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
        for name, value in settings.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(30)


def count(admin: AdminClient, topic: str) -> int:
    """Return how many partitions the brokers say that a topic has."""
    return len(admin.list_topics(topic, timeout=30).topics[topic].partitions)


def hms(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*HMS, *words], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.timeout(400)
def test_topics_with_wrong_settings_under_load_are_named_and_new_nodes_refuse_what_would_split_actors(
    kafka: Server, tmp_path: Path, saw: Callable[[str], None]
) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    said: list[str] = []

    async def spoiling(run: Trial) -> None:
        await run.load.wait_answered(100)
        alter(admin, f"{run.prefix}.inbox.normal", message_timestamp_type="CreateTime", retention_ms="604800000")
        await run.load.wait_answered(100)
        looked = await asyncio.to_thread(hms, "doctor", "--log", run.url)
        for setting in ("message.timestamp.type", "retention.ms"):
            assert f"{setting}" in looked.stdout + looked.stderr, looked
        for done in admin.create_partitions([NewPartitions(f"{run.prefix}.inbox.low", 2 * PARTITIONS)]).values():
            done.result(30)
        await run.until(lambda: count(admin, f"{run.prefix}.inbox.low") > PARTITIONS, 60, lambda: "more partitions")
        late = await asyncio.to_thread(hms, "node", "--log", run.url, "--app", APP, "--name", "late")
        assert late.returncode, "expected a node to refuse a topic with more partitions than the log was made with"
        said.append(late.stderr.strip().splitlines()[-1])
        assert f"{run.prefix}.inbox.low has {2 * PARTITIONS} partitions, expected {PARTITIONS}" in said[0]
        await run.load.wait_answered(100)

    seen = asyncio.run(trial(tmp_path, kafka.bootstrap, SEED, spoiling, pause_s=0.05))
    saw(f"doctor named both settings; a new node said: {said[0]!r}; those that ran went on: {seen}")


@pytest.mark.timeout(300)
def test_events_that_a_short_retention_deleted_are_missed_aloud(
    broker: Broker, tmp_path: Path, saw: Callable[[str], None]
) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})

    async def main() -> list[str]:
        prefix = await make(broker.bootstrap, 1)
        url = f"kafka://{broker.bootstrap}/{prefix}"
        log = await KafkaLog.open(url)
        try:
            with Nodes(tmp_path, url) as nodes:
                nodes.start("one")
                async with connect(log, name="ann") as client:
                    for number in range(20):
                        await client.ask(account("anna"), Deposit(cents=1), id=f"d{number}", timeout_ms=60_000)
                nodes.kill("one")
                alter(admin, f"{prefix}.events", retention_ms="1")
                async with asyncio.timeout(60):
                    while (await log.watermarks(EVENTS, 0)).start == 0:  # noqa: ASYNC110 - the broker's own pace
                        await asyncio.sleep(0.2)
                nodes.start("one")
                code = await asyncio.to_thread(nodes.running["one"].wait, 90)
                assert code, f"expected the node to end badly:\n{nodes.complaints('one')}"
                return nodes.complaints("one").splitlines()
        finally:
            await log.close()

    lines = asyncio.run(main())
    told = [
        line for line in lines if line.startswith("hms:") and ("trim" in line or "kept" in line or "missing" in line)
    ]
    assert told, lines
    saw(f"a node after its events were deleted: {told[-1]!r}")
