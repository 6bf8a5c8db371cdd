"""A shop: `hms up` as a process of its own, over components that write down what happens to them."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from run_docs import wait_until

from hms.actors.host.process import SHIM

from ..command import HMS

MEMBER = """
import http.server, os, pathlib, signal, sys, threading, time
name, manner = sys.argv[1], sys.argv[2:]

def note(what):
    with open("diary", "a") as file:
        file.write(f"{time.monotonic_ns()} {name} {what} {os.getpid()}\\n")

def end(*_):
    note("stop")
    os._exit(0)

signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in manner else end)
note("start")
if "crash" in manner:
    print(f"{name} cannot go on")
    sys.exit(3)
if "http" in manner:
    class Quiet(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(204)
            self.end_headers()
        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(manner[-1])), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
while True:
    time.sleep(60)  # a component that has nothing to do
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests with processes more time in all than each of their waits may take: a busy machine is not a failure."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))


class Shop:
    """A folder with a fleet file, a log and a state folder; `up` starts `hms up` in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "fleet.yaml"
        self.log = f"sqlite:{folder / 'log.db'}"
        self.environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "HMS_LOG": self.log}
        self.started: list[subprocess.Popen[str]] = []
        self.members: set[str] = set()
        (folder / "member.py").write_text(MEMBER)

    def write(self, components: dict[str, dict[str, Any]], groups: list[dict[str, Any]] | None = None) -> None:
        """Write the fleet file; `manner` of a component is what its process does."""
        items = []
        for name, more in components.items():
            manner = more.pop("manner", "").split()
            if "command" not in more:
                self.members.add(name)
            items.append({"id": name, "command": [sys.executable, "member.py", name, *manner], **more})
        # JSON is YAML.
        self.file.write_text(json.dumps({"fleet": "shop", "groups": groups or [], "components": items}, indent=1))

    def up(self, *more: str) -> subprocess.Popen[str]:
        """Start `hms up`; its events go to a file that `events` reads."""
        number = len(self.started)
        with (self.folder / f"out.{number}").open("w") as out, (self.folder / f"err.{number}").open("w") as err:
            command = [*HMS, "up", "-f", str(self.file), "-o", "jsonl", *more]
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=out, stderr=err, text=True
            )
        self.started.append(process)
        return process

    def hms(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            [*HMS, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )

    def complaints(self, number: int = -1) -> str:
        return (self.folder / f"err.{range(len(self.started))[number]}").read_text()

    def events(self, kind: str, component: str | None = None, number: int = -1) -> list[dict[str, Any]]:
        """Return what the given `hms up` (the last one) told, with the actor's key as `who`."""
        lines = (self.folder / f"out.{range(len(self.started))[number]}").read_text().splitlines(keepends=True)
        told = [json.loads(line) for line in lines if line.endswith("\n")]
        found = [
            {**event["data"], "who": event["envelope"]["source"].partition("/")[2], "told_at": event["envelope"]["at"]}
            for event in told
            if event["envelope"]["type"] == f"hms.{kind}"
        ]
        return [event for event in found if component in {None, event["who"], event.get("component_id")}]

    def wait(self, kind: str, component: str | None = None, count: int = 1, seconds: float = 60) -> dict[str, Any]:
        """Return the event of that number, once it has come."""
        self.until(lambda: len(self.events(kind, component)) >= count, seconds, f"{kind} of {component}")
        return self.events(kind, component)[count - 1]

    def until(self, condition: Callable[[], bool], seconds: float = 60, what: str = "the condition") -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            ended = self.started and self.started[-1].poll() is not None
            assert time.monotonic() < deadline, f"{what} never came\n{self.complaints()}"
            assert not ended or condition(), f"hms up ended while waiting for {what}:\n{self.complaints()}"
            with suppress(subprocess.TimeoutExpired):
                self.started[-1].wait(0.01)

    def pids(self, *components: str) -> dict[str, int]:
        """Return the newest pid of each, once all were started by the last `hms up` and are past their beginnings."""
        for name in components:
            self.wait("ComponentStarted", name)
        members = [name for name in components if name in self.members]
        self.until(lambda: set(members) <= set(self.entries("start")), what="the components' own word")
        return {name: self.events("ComponentStarted", name)[-1]["pid"] for name in components}

    def diary(self) -> list[tuple[int, str, str]]:
        """Return what the components wrote down: monotonic nanoseconds, who, start or stop."""
        with suppress(FileNotFoundError):
            rows = [line.split() for line in (self.folder / "diary").read_text().splitlines()]
            return [(int(at), who, what) for at, who, what, _ in rows]
        return []

    def entries(self, what: str) -> list[str]:
        return [who for _, who, each in self.diary() if each == what]

    def begun(self) -> set[int]:
        """Return the pids of all components that have written down their start."""
        with suppress(FileNotFoundError):
            rows = [line.split() for line in (self.folder / "diary").read_text().splitlines()]
            return {int(pid) for _, _, what, pid in rows if what == "start"}
        return set()

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 60) -> int:
        """Send a signal to the last `hms up` and return its exit code."""
        process = self.started[-1]
        process.send_signal(number)
        return process.wait(seconds)

    @contextmanager
    def log_locked(self) -> Iterator[None]:
        """Hold the log's lock, so that nobody can write."""
        lock = sqlite3.connect(self.folder / "log.db", timeout=30, isolation_level=None)
        try:
            lock.execute("BEGIN IMMEDIATE")
            yield
            lock.execute("ROLLBACK")
        finally:
            lock.close()

    def processes(self) -> list[psutil.Process]:
        """Return everything that lives and was started for this shop, shims included."""
        mark = str(self.folder / "state")
        return [process for process in psutil.process_iter() if _is_marked(process, mark)]

    def is_gone(self) -> bool:
        """Say whether no component lives, and soon no shim: it leaves on its own, after its last word."""
        if any(not _is_shim(process) for process in self.processes()):
            return False
        return wait_until(lambda: not self.processes(), 60)

    def clear(self) -> None:
        """Kill whatever is left."""
        for process in self.started:
            process.kill()
            process.wait()
        for left in self.processes():
            with suppress(psutil.NoSuchProcess):
                left.kill()


def _is_marked(process: psutil.Process, mark: str) -> bool:
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.environ().get("HMS_RUN", "").startswith(mark) or any(mark in word for word in process.cmdline())
    except psutil.Error:
        return False


def _is_shim(process: psutil.Process) -> bool:
    try:
        return str(SHIM) in process.cmdline()
    except psutil.NoSuchProcess:
        return True  # it has left meanwhile


def alive(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    try:
        yield made
    finally:
        made.clear()


@pytest.fixture
def is_alive() -> Callable[[int], bool]:
    return alive
