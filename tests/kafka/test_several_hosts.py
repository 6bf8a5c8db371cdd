"""Agents of two hosts on one real Kafka: placed, silent, failed over once, never two copies that run."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ..system.several_hosts import FAILS_OVER, Hosts, assert_one_after_the_other, shim_of
from .logs import make_log

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def hosts(tmp_path: Path, kafka_url: str) -> Iterator[Hosts]:
    asyncio.run(make_log(kafka_url, 4))
    made = Hosts(tmp_path, kafka_url)
    try:
        yield made
    finally:
        made.clear()


def test_components_run_where_they_are_placed_and_a_killed_agents_one_fails_over_once(hosts: Hosts) -> None:
    hosts.write({"web": {**FAILS_OVER}, "rooted": {"host": "east"}, "db": {"host": "west"}, "here": {}})
    for host in ("home", "east", "west"):
        hosts.start(host)
    for name in ("web", "rooted", "db", "here"):
        hosts.wait("ComponentStarted", name, seconds=90)
    placed = [hosts.hosts_of(name) for name in ("web", "rooted", "db", "here")]
    assert placed == [["east"], ["east"], ["west"], ["home"]]
    hosts.kill("east")
    hosts.wait("ComponentBecameUnknown", "rooted")
    hosts.wait("ComponentStarted", "web", 2)
    assert hosts.hosts_of("web") == ["east", "west"]
    assert hosts.component("rooted")["phase"] == "unknown"
    hosts.start("east")
    hosts.wait("ComponentBecameKnown", "rooted")
    assert [len(hosts.events("ComponentStarted", name)) for name in ("web", "rooted")] == [2, 1]
    assert_one_after_the_other(hosts, "web")


def test_a_host_that_was_stopped_past_its_lease_ends_its_copy_before_it_runs_on(hosts: Hosts) -> None:
    hosts.write({"web": {**FAILS_OVER, "manner": "stubborn"}})
    for host in ("home", "east", "west"):
        hosts.start(host)
    pid = hosts.wait("ComponentStarted", "web", seconds=90)["pid"]
    hosts.until(lambda: bool(hosts.diary("beat")), what="the component's own word")
    shim = shim_of(pid)
    (hosts.folder / "web.lock").unlink()  # a stopped process keeps its lock; its beats are the evidence here
    for each in (hosts.running["east"].pid, shim.pid, pid):
        os.kill(each, signal.SIGSTOP)
    hosts.wait("ComponentStarted", "web", 2)
    os.kill(hosts.running["east"].pid, signal.SIGCONT)
    with contextlib.suppress(psutil.NoSuchProcess):  # its host may have ended it
        shim.resume()
    hosts.until(lambda: not psutil.pid_exists(pid), 60, "the end of the copy that was stopped")
    hosts.wait("HostReturned", "east")
    assert len(hosts.events("ComponentStarted", "web")) == 2
    assert_one_after_the_other(hosts)
