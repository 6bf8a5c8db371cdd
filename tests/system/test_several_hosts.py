"""Two hosts on one log: silence is unknown, failover happens once, and never are there two copies that run.

The hosts are agents with state folders of their own; the log is a file that they share.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from .several_hosts import FAILS_OVER, HMS, Hosts, assert_one_after_the_other, shim_of

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    made = Hosts(tmp_path, f"sqlite:{tmp_path / 'log.db'}")
    try:
        yield made
    finally:
        made.clear()


def test_a_silent_hosts_components_are_unknown_and_started_nowhere_else(hosts: Hosts) -> None:
    hosts.write({"web": {"host": "east"}, "db": {"host": "west"}, "here": {}})
    for host in ("home", "east", "west"):
        hosts.start(host)
    pid = hosts.wait("ComponentStarted", "web")["pid"]
    hosts.wait("ComponentStarted", "db")
    hosts.wait("ComponentStarted", "here")
    assert [hosts.hosts_of(name) for name in ("web", "db", "here")] == [["east"], ["west"], ["home"]]
    hosts.kill("east")
    hosts.wait("ComponentBecameUnknown", "web")
    seen = hosts.component("web")
    assert (seen["phase"], seen["health"], seen["host"]) == ("unknown", "unknown", "east")
    hosts.until(lambda: hosts.component("db")["phase"] == "running", what="the other host's component")
    hosts.start("east")
    hosts.wait("ComponentBecameKnown", "web")
    assert hosts.component("web")["pid"] == pid
    assert len(hosts.events("ComponentStarted", "web")) == 1
    assert_one_after_the_other(hosts)


def test_what_may_fail_over_is_stopped_by_its_shim_and_started_once_elsewhere_when_its_agent_is_killed(
    hosts: Hosts,
) -> None:
    hosts.heartbeat_ms = 1_300  # no host is silent because the machine stood still for a while
    hosts.write({"web": {**FAILS_OVER}})
    for host in ("home", "east", "west"):
        hosts.start(host)
    hosts.wait("ComponentStarted", "web")
    hosts.pass_lease()
    assert len(hosts.events("ComponentStarted", "web")) == 1, "expected its lease to be renewed"
    hosts.kill("east")
    hosts.wait("ComponentBecameUnknown", "web")
    hosts.wait("ComponentFenced", "web")
    hosts.wait("ComponentStarted", "web", 2)
    assert hosts.hosts_of("web") == ["east", "west"]
    assert_one_after_the_other(hosts)
    assert hosts.component("web")["host"] == "west"
    hosts.start("east")
    hosts.until(lambda: "agent of shop on east" in (hosts.folder / "east.err").read_text(), what="the agent")
    hosts.wait("HostConnected", "east", 2)
    hosts.pass_lease()
    assert len(hosts.events("ComponentStarted", "web")) == 2
    assert_one_after_the_other(hosts)


def test_a_host_that_was_stopped_past_its_lease_ends_its_copy_before_it_runs_on(hosts: Hosts) -> None:
    hosts.write({"web": {**FAILS_OVER, "manner": "stubborn"}})
    for host in ("home", "east", "west"):
        hosts.start(host)
    pid = hosts.wait("ComponentStarted", "web")["pid"]
    hosts.until(lambda: bool(hosts.diary("beat")), what="the component's own word")
    shim = shim_of(pid)
    (hosts.folder / "web.lock").unlink()  # a stopped process keeps its lock; its beats are the evidence here
    for each in (hosts.running["east"].pid, shim.pid, pid):
        os.kill(each, signal.SIGSTOP)
    hosts.wait("ComponentStarted", "web", 2)
    assert hosts.hosts_of("web") == ["east", "west"]
    os.kill(hosts.running["east"].pid, signal.SIGCONT)
    with contextlib.suppress(psutil.NoSuchProcess):  # its host may have ended it
        shim.resume()
    hosts.until(lambda: not psutil.pid_exists(pid), what="the end of the copy that was stopped")
    hosts.wait("HostReturned", "east")
    assert len(hosts.events("ComponentStarted", "web")) == 2
    assert hosts.component("web")["host"] == "west"
    assert_one_after_the_other(hosts)


def test_a_shim_that_is_stopped_is_killed_with_its_component_when_the_lease_is_over(hosts: Hosts) -> None:
    hosts.write({"web": {**FAILS_OVER}})
    for host in ("home", "east", "west"):
        hosts.start(host)
    pid = hosts.wait("ComponentStarted", "web")["pid"]
    hosts.until(lambda: bool(hosts.diary("beat")), what="the component's own word")
    shim_of(pid).suspend()
    hosts.running["home"].send_signal(signal.SIGSTOP)  # nobody renews leases, and nobody fails anything over
    try:
        hosts.until(lambda: not psutil.pid_exists(pid), what="the end of the component")
    finally:
        hosts.running["home"].send_signal(signal.SIGCONT)
    hosts.wait("ComponentStarted", "web", 2)
    assert_one_after_the_other(hosts)


def test_two_machines_do_not_share_a_name(hosts: Hosts) -> None:
    hosts.write({"web": {"host": "east"}})
    hosts.start("home")
    hosts.start("east")
    hosts.wait("ComponentStarted", "web")
    refused = subprocess.run(
        [*HMS, "agent", "--host", "east"],
        cwd=hosts.folder,
        env=hosts.environment("west"),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert refused.returncode == 1
    assert "the host 'east' is " in refused.stderr
    assert "give this one another name" in refused.stderr
