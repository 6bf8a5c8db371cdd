"""SQL and audits on a real Kafka: offsets have gaps there, and what a transaction that was aborted wrote is in nobody's answer."""

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from hms.actors.app import hms_app
from hms.core.address import Address
from hms.core.client import connect
from hms.core.log.open import open_log
from hms.core.log.port import EVENTS, Draft
from hms.core.runtime.node import Node
from hms.schemas.task import CancelTask

from ..command import HMS


async def work(url: str, count: int) -> None:
    log = await open_log(url)
    async with Node(log, [hms_app], name="node") as node, connect(log, name="anna") as client:
        await node.wait_owning(log.partitions)
        for number in range(count):
            await client.ask(Address[Any]("meta_supervisor/main"), CancelTask(task_id=f"t{number}"))
    await log.close()


async def abandon(url: str) -> None:
    """Leave an aborted transaction behind, as a node does that is fenced off in the middle of one."""
    log = await open_log(url)
    writer = await log.open_writer(0, "stranger")
    other = await log.open_writer(0, "another")
    try:
        await writer.commit([Draft(EVENTS, 0, b"nobody/x", b"never")])
    except Exception as error:  # noqa: BLE001 - fenced, in whichever way
        assert error  # noqa: PT017
    await writer.close()
    await other.close()
    await log.close()


def test_history_on_kafka_is_queried_signed_and_verified(kafka_url: str, tmp_path: Path) -> None:
    url = kafka_url
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "HMS_LOG": url}

    def hms(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*HMS, *words], env=environment, capture_output=True, text=True, timeout=100, check=False)

    made = hms("log", "init", "--partitions", "4")
    assert made.returncode == 0, made.stderr
    asyncio.run(work(url, 12))
    asyncio.run(abandon(url))
    counted = hms("sql", "SELECT count(*) AS n FROM cancellation_kept", "-o", "json")
    assert json.loads(counted.stdout) == [{"n": 12}], counted.stderr
    signed = hms("audit", "sign", "-o", "json")
    assert signed.returncode == 0, signed.stderr
    asyncio.run(work(url, 3))
    found = hms("audit", "verify", "-o", "json")
    assert found.returncode == 0, found.stdout + found.stderr
    result = json.loads(found.stdout)
    assert result["findings"] == []
    assert sum(shard["covered"] for shard in result["shards"]) == sum(
        item["size"] for item in json.loads(signed.stdout)
    )
    again = hms("audit", "verify", "--since", "-0s", "-o", "json")
    assert again.returncode == 0, again.stdout + again.stderr
    assert json.loads(again.stdout)["records"] < result["records"]
