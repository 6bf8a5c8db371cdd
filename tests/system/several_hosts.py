"""Hosts of one fleet as agents with state folders of their own, over components that say what they do.

Each component holds a lock, and notes when it began, beat and ended: what is said of copies comes from them.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from ..command import HMS

HEARTBEAT_MS = 800
LEASE_HEARTBEATS = 6
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
    time.sleep(0.02)  # between the words by which a test sees who lives
    note("beat")
"""


class Hosts:
    """A folder with a fleet file and a state folder for each host; processes by their host's name."""

    def __init__(self, folder: Path, url: str) -> None:
        self.heartbeat_ms = HEARTBEAT_MS
        self.folder = folder
        self.url = url
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._pause = threading.Event()
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
        command = [*HMS, *words, "--host", host, "--heartbeat-ms", str(self.heartbeat_ms)]
        with (self.folder / f"{host}.out").open("ab") as out, (self.folder / f"{host}.err").open("ab") as err:
            self.running[host] = subprocess.Popen(
                command, cwd=self.folder, env=self.environment(host), stdout=out, stderr=err
            )

    def environment(self, host: str) -> dict[str, str]:
        """Return what the processes of a host get."""
        return {**os.environ, "XDG_STATE_HOME": str(self.folder / f"state-{host}"), "HMS_LOG": self.url}

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

    def wait(self, kind: str, component: str, count: int = 1, seconds: float = 60) -> dict[str, Any]:
        """Return the event of that number, once it has come."""
        self.until(lambda: len(self.events(kind, component)) >= count, seconds, f"{kind} {count} of {component}")
        return self.events(kind, component)[count - 1]

    def until(self, condition: Callable[[], bool], seconds: float = 60, what: str = "the condition") -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what} never came\n{self.complaints()}"
            self._pause.wait(0.02)

    def pass_lease(self) -> None:
        """Wait for as long as one lease lasts."""
        end = time.monotonic() + LEASE_HEARTBEATS * self.heartbeat_ms / 1_000
        self.until(lambda: time.monotonic() > end)

    def complaints(self) -> str:
        return "\n".join(f"{path.name}:\n{path.read_text()}" for path in sorted(self.folder.glob("*.err")))

    def component(self, name: str) -> dict[str, Any]:
        """Return what `hms component list` says of one."""
        command = [*HMS, "component", "list", "-o", "json"]
        listed = subprocess.run(
            command, cwd=self.folder, env=self.environment("home"), capture_output=True, check=True, timeout=100
        )
        return next(item for item in json.loads(listed.stdout) if item["id"] == name)

    def diary(self, what: str, component: str = "web") -> list[tuple[int, int, int]]:
        """Return when (monotonic nanoseconds) which incarnation of a component, of which pid, noted this."""
        with suppress(FileNotFoundError):
            rows = [line.split() for line in (self.folder / "diary").read_text().splitlines()]
            return [
                (int(row[0]), int(row[2]), int(row[3]))
                for row in rows
                if row[1:] and row[1] == component and row[-1] == what
            ]
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


def shim_of(pid: int) -> psutil.Process:
    parent = psutil.Process(pid).parent()
    assert parent is not None
    assert "shim" in " ".join(parent.cmdline())
    return parent


def assert_one_after_the_other(hosts: Hosts, component: str = "web") -> None:
    """Hold that no incarnation did anything any more once the next one had begun."""
    assert not hosts.diary("double", component)
    begun = {incarnation: at for at, incarnation, _ in hosts.diary("start", component)}
    last = sorted(row for what in ("start", "beat", "stop") for row in hosts.diary(what, component))
    ended = {incarnation: at for at, incarnation, _ in last}
    for incarnation in sorted(begun)[:-1]:
        assert ended[incarnation] < begun[incarnation + 1], f"incarnation {incarnation} outlived the next one's start"


FAILS_OVER = {"host": "east", "failover": True, "candidates": ["west"]}
