"""What operators see of nodes and shards on a real Kafka, while nodes run, join, drain and die."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from hms.core.log.kafka.address import KafkaAddress

from ..command import HMS

DEADLINE_S = 90
"""On a busy machine; a node's session is over after 6 s."""


pytestmark = pytest.mark.timeout(400)


class Fleet:
    """Nodes on one log, and commands against it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.environment = {**os.environ, "XDG_STATE_HOME": str(folder), "HMS_LOG": url}
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}

    def hms(self, *words: str) -> Any:
        done = subprocess.run(
            [*HMS, *words, "-o", "json"], env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, name: str) -> None:
        self.nodes[name] = subprocess.Popen(
            [*HMS, "node", "--name", name],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def owners(self) -> list[str | None]:
        return [shard["owner"] for shard in self.hms("shard", "list")]

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, self.hms("shard", "list")


def is_at_rest(shard: dict[str, Any], owner: str) -> bool:
    seen = (shard["owner"], shard["state"], set(shard["lag"].values()))
    return seen == (owner, "owned", {0}) and bool(shard["epoch"])


@contextmanager
def running(url: str, folder: Path, *names: str) -> Iterator[Fleet]:
    fleet = Fleet(url, folder)
    try:
        fleet.hms("log", "init", "--partitions", "4")
        for name in names:
            fleet.start(name)
        yield fleet
    finally:
        for node in fleet.nodes.values():
            node.kill()
            node.wait()


def test_shards_have_owners_epochs_and_commits_and_move_when_nodes_come_and_go(kafka_url: str, tmp_path: Path) -> None:
    with running(kafka_url, tmp_path, "one") as fleet:
        fleet.until(lambda: all(is_at_rest(shard, "one") for shard in fleet.hms("shard", "list")))
        before = fleet.hms("shard", "list")
        fleet.start("two")
        fleet.until(lambda: sorted(map(str, fleet.owners())) == ["one", "one", "two", "two"])
        (moved,) = {frozenset(node["shards"]) for node in fleet.hms("node", "list") if node["node"] == "two"}
        fleet.until(
            lambda: all(
                s["epoch"] > before[s["shard"]]["epoch"] for s in fleet.hms("shard", "list") if s["shard"] in moved
            )
        )
        described = fleet.hms("node", "describe", "two")
        assert (described["alive"], {shard["owner"] for shard in described["shards"]}) == (True, {"two"})
        fleet.nodes["two"].send_signal(signal.SIGTERM)
        assert fleet.nodes["two"].wait(DEADLINE_S) == 0
        fleet.until(lambda: fleet.owners() == ["one"] * 4)
        assert {node["node"]: node["alive"] for node in fleet.hms("node", "list")} == {"one": True, "two": False}


def test_a_killed_node_is_dead_and_its_shards_are_orphaned_with_their_last_commits(
    kafka_url: str, tmp_path: Path
) -> None:
    with running(kafka_url, tmp_path, "only") as fleet:
        fleet.until(lambda: fleet.owners() == ["only"] * 4 and all(s["epoch"] for s in fleet.hms("shard", "list")))
        fleet.nodes["only"].kill()
        fleet.until(lambda: fleet.owners() == [None] * 4)
        shards = fleet.hms("shard", "list")
        assert [shard["state"] for shard in shards] == ["orphaned"] * 4
        assert all(shard["sequence"] >= 0 for shard in shards)
        assert [(node["node"], node["alive"]) for node in fleet.hms("node", "list")] == [("only", False)]


def test_messages_that_nobody_takes_are_lag_and_a_hung_transaction_blocks(kafka_url: str, tmp_path: Path) -> None:
    with running(kafka_url, tmp_path) as fleet:
        address = KafkaAddress.parse(kafka_url)
        producer = Producer({"bootstrap.servers": address.bootstrap[0], "transactional.id": address.prefix})
        producer.init_transactions(20)
        producer.begin_transaction()
        for _ in range(3):
            producer.produce(address.topic("inbox.high"), b"x", partition=2)
        producer.commit_transaction(20)
        producer.begin_transaction()
        producer.produce(address.topic("inbox.low"), b"x", partition=3)
        assert producer.flush(20) == 0
        found = {shard["shard"]: (shard["state"], shard["lag"]) for shard in fleet.hms("shard", "list")}
        none = {"critical": 0, "high": 0, "normal": 0, "low": 0}
        assert found[0] == ("orphaned", none)
        assert found[2] == ("orphaned", {**none, "high": 3}), "the marker behind them is none"
        assert found[3] == ("blocked", none)
        producer.abort_transaction(20)


@pytest.mark.parametrize("words", [("component", "list"), ("node", "list"), ("shard", "list")], ids=" ".join)
def test_a_look_costs_less_than_a_second_and_a_half_of_a_core(
    kafka_url: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    fleet = Fleet(kafka_url, tmp_path)
    fleet.hms("log", "init")
    used_s = [used(fleet, words)]
    while len(used_s) < 3 and min(used_s) >= 1.5:  # a busy core takes longer over the same
        used_s.append(used(fleet, words))
    assert min(used_s) < 1.5, used_s


def used(fleet: Fleet, words: tuple[str, ...]) -> float:
    """Return how many seconds of a core a command costs."""
    asked = subprocess.Popen(
        [*HMS, *words], env=fleet.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, cost = os.wait4(asked.pid, 0)
    asked.returncode = os.waitstatus_to_exitcode(status)
    assert asked.returncode == 0
    return cost.ru_utime + cost.ru_stime
