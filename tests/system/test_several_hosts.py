"""Two hosts on one log: silence is unknown, failover happens once, and never are there two copies that run.

The hosts are agents with state folders of their own; the log is a file that they share. What is said of copies comes
from the components themselves: each holds a lock, and notes when it began, beat and ended.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

HMS = (sys.executable, "-c", "from hms.console.cli import main; raise SystemExit(main())")
HEARTBEAT_MS = 800
LEASE_S = 6 * HEARTBEAT_MS / 1_000
MEMBER = """
import fcntl, os, signal, sys, time
name, manner = sys.argv[1], sys.argv[2:]

def note(what):
    with open("diary", "a") as file:
        file.write(f"{time.monotonic_ns()} {name} {os.environ['HMS_INCARNATION']} {os.getpid()} {what}\\n")

def end(*_):
    note("stop")
    os._exit(0)

signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in manner else end)
lock = open(name + ".lock", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    note("double")
note("start")
while True:
    time.sleep(0.02)
    note("beat")
"""


class Hosts:
    """A folder with a log, a fleet file, and a state folder for each host; processes by their host's name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "member.py").write_text(MEMBER)

    def write(self, components: dict[str, dict[str, Any]]) -> None:
        """Write the fleet file."""
        items = []
        for name, more in components.items():
            command = [sys.executable, "member.py", name, *more.pop("manner", "").split()]
            items.append({"id": name, "command": command, "backoff": {"first_ms": 50, "jitter": 0}, **more})
        file = {"fleet": "shop", "hosts": ["home", "east", "west"], "components": items}
        (self.folder / "fleet.yaml").write_text(json.dumps(file))

    def start(self, host: str) -> None:
        """Start `hms up` at home, an agent elsewhere."""
        words = ["up", "-f", "fleet.yaml", "-o", "jsonl"] if host == "home" else ["agent"]
        command = [*HMS, *words, "--host", host, "--heartbeat-ms", str(HEARTBEAT_MS)]
        with (self.folder / f"{host}.out").open("ab") as out, (self.folder / f"{host}.err").open("ab") as err:
            self.running[host] = subprocess.Popen(
                command, cwd=self.folder, env=self.environment(host), stdout=out, stderr=err
            )

    def environment(self, host: str) -> dict[str, str]:
        """Return what the processes of a host get."""
        state, log = self.folder / f"state-{host}", self.folder / "log.db"
        return {**os.environ, "XDG_STATE_HOME": str(state), "HMS_LOG": f"sqlite:{log}"}

    def kill(self, host: str) -> None:
        """Kill the agent of a host, not what it runs."""
        process = self.running.pop(host)
        process.kill()
        process.wait()

    def events(self, kind: str, component: str) -> list[dict[str, Any]]:
        """Return what home told of a component, or another actor's key."""
        lines = (self.folder / "home.out").read_text().splitlines(keepends=True)
        told = [json.loads(line) for line in lines if line.endswith("\n")]
        mine = [each for each in told if each["envelope"]["source"].partition("/")[2] == component]
        return [each["data"] for each in mine if each["envelope"]["type"] == f"hms.{kind}"]

    def wait(self, kind: str, component: str, count: int = 1, seconds: float = 25) -> dict[str, Any]:
        """Return the event of that number, once it has come."""
        self.until(lambda: len(self.events(kind, component)) >= count, seconds, f"{kind} {count} of {component}")
        return self.events(kind, component)[count - 1]

    def until(self, condition: Callable[[], bool], seconds: float = 25, what: str = "the condition") -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what} never came\n{self.complaints()}"
            time.sleep(0.02)

    def pass_lease(self) -> None:
        """Wait for as long as one lease lasts."""
        end = time.monotonic() + LEASE_S
        self.until(lambda: time.monotonic() > end)

    def complaints(self) -> str:
        return "\n".join(f"{path.name}:\n{path.read_text()}" for path in sorted(self.folder.glob("*.err")))

    def component(self, name: str) -> dict[str, Any]:
        """Return what `hms component list` says of one."""
        command = [*HMS, "component", "list", "-o", "json"]
        listed = subprocess.run(
            command, cwd=self.folder, env=self.environment("home"), capture_output=True, check=True, timeout=30
        )
        return next(item for item in json.loads(listed.stdout) if item["id"] == name)

    def diary(self, what: str) -> list[tuple[int, int, int]]:
        """Return when (monotonic nanoseconds) which incarnation, of which pid, noted this."""
        with suppress(FileNotFoundError):
            rows = [line.split() for line in (self.folder / "diary").read_text().splitlines()]
            return [(int(row[0]), int(row[2]), int(row[3])) for row in rows if len(row) == 5 and row[4] == what]
        return []

    def hosts_of(self, component: str) -> list[str]:
        """Return where each incarnation was started."""
        return [event["host"] for event in self.events("ComponentStartRequested", component)]

    def clear(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.pid != os.getpid() and any(str(self.folder) in word for word in process.cmdline()):
                    process.kill()


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    made = Hosts(tmp_path)
    try:
        yield made
    finally:
        made.clear()


def shim_of(pid: int) -> psutil.Process:
    parent = psutil.Process(pid).parent()
    assert parent is not None
    assert "shim" in " ".join(parent.cmdline())
    return parent


def assert_one_after_the_other(hosts: Hosts) -> None:
    """Hold that no incarnation did anything any more once the next one had begun."""
    assert not hosts.diary("double")
    begun = {incarnation: at for at, incarnation, _ in hosts.diary("start")}
    ended = {incarnation: at for at, incarnation, _ in sorted(hosts.diary("beat") + hosts.diary("stop"))}
    for incarnation in sorted(begun)[:-1]:
        assert ended[incarnation] < begun[incarnation + 1], f"incarnation {incarnation} outlived the next one's start"


FAILS_OVER = {"host": "east", "failover": True, "candidates": ["west"]}


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
    assert hosts.component("db")["phase"] == "running"
    hosts.start("east")
    hosts.wait("ComponentBecameKnown", "web")
    assert hosts.component("web")["pid"] == pid
    assert len(hosts.events("ComponentStarted", "web")) == 1
    assert_one_after_the_other(hosts)


def test_what_may_fail_over_is_stopped_by_its_shim_and_started_once_elsewhere_when_its_agent_is_killed(
    hosts: Hosts,
) -> None:
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
    shim.resume()
    hosts.until(lambda: not psutil.pid_exists(pid), 5, "the end of the copy that was stopped")
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
        hosts.until(lambda: not psutil.pid_exists(pid), 3 * LEASE_S, "the end of the component")
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
        timeout=30,
    )
    assert refused.returncode == 1
    assert "the host 'east' is " in refused.stderr
    assert "give this one another name" in refused.stderr
