"""Probes against real sockets and processes; who holds a port; a watcher that was late has no verdict."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from run_docs import wait_until

from hms.actors.host import start_ticks
from hms.actors.host.lag import Lag
from hms.actors.host.probe import Subject, question
from hms.actors.host.vitals import Watch
from hms.schemas.fleet import ComponentSpec, Probe, Probes

from .host_desk import alive, lines_of, until

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = int(self.path.rpartition('/')[2])
        self.send_response(status)
        self.end_headers()
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer((sys.argv[1], 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
MUTE_SERVER = """
import socket, sys, time
server = socket.create_server((sys.argv[1], 0), reuse_port=True)
print(server.getsockname()[1], flush=True)
time.sleep(60)  # it listens, and never answers
"""
CHILD_SERVER = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[2], sys.argv[1]])"


@contextlib.contextmanager
def child(*words: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            for below in psutil.Process(process.pid).children(recursive=True):
                below.kill()
            process.kill()


@contextlib.contextmanager
def server(address: str = "127.0.0.1", *, in_a_child: bool = False) -> Iterator[tuple[Subject, int]]:
    words = (CHILD_SERVER, address, SERVER) if in_a_child else (SERVER, address)
    with child(sys.executable, "-c", *words) as process:
        assert process.stdout is not None
        yield subject(process.pid), int(process.stdout.readline())


@contextlib.contextmanager
def sleeper(**spec: Any) -> Iterator[Subject]:
    with child("sleep", "300") as process:
        yield subject(process.pid, **spec)


def subject(pid: int, **spec: Any) -> Subject:
    """This test stands where the shim does: what it starts is the component, itself it is a stranger."""
    made = ComponentSpec.model_validate({"id": "web", "command": ("x",), **spec})
    return Subject(pid, start_ticks(pid) or 0, os.getpid(), made)


def answer(subject: Subject, **probe: Any) -> str | None:
    async def main() -> str | None:
        return await question(Probe.model_validate({"timeout_ms": 30_000, **probe}), subject)()

    return asyncio.run(main())


@contextlib.contextmanager
def kept_port() -> Iterator[int]:
    """A port that nobody listens on, and nobody else can take."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


@pytest.mark.parametrize("address", ["127.0.0.1", ""])
def test_a_port_that_the_component_itself_holds_is_well(address: str) -> None:
    with server(address) as (web, port):
        assert answer(web, tcp=f"127.0.0.1:{port}") is None
        assert answer(web, tcp=f"localhost:{port}") is None


def test_a_port_that_a_child_of_the_component_holds_is_well() -> None:
    with server(in_a_child=True) as (web, port):
        assert answer(web, tcp=f"127.0.0.1:{port}") is None


@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_a_stolen_port_is_told_with_its_holder(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as thief, sleeper() as web:
        port = thief.getsockname()[1]
        place = f"127.0.0.1:{port}" if kind == "tcp" else f"http://127.0.0.1:{port}/"
        reason = answer(web, **{kind: place, "timeout_ms": 50})
        assert reason is not None
        assert reason.startswith(f"port {port} held by {os.getpid()} {psutil.Process().cmdline()[0]}")


def test_a_port_stolen_at_the_very_address_is_told_although_the_component_listens_on_all() -> None:
    with child(sys.executable, "-c", MUTE_SERVER, "") as process, socket.socket() as thief:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        web = subject(process.pid)
        assert answer(web, tcp=f"127.0.0.1:{port}") is None
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        thief.bind(("127.0.0.1", port))
        thief.listen()
        assert (answer(web, tcp=f"127.0.0.1:{port}") or "").startswith(f"port {port} held by {os.getpid()} ")


def test_a_port_nobody_listens_on_is_refused() -> None:
    with kept_port() as port, sleeper() as web:
        assert answer(web, tcp=f"127.0.0.1:{port}") == f"127.0.0.1:{port}: connection refused, nobody listens there"


@pytest.mark.parametrize(
    ("status", "well"), [(200, True), (204, True), (302, True), (399, True), (404, False), (500, False)]
)
def test_http_is_well_from_200_to_399(status: int, *, well: bool) -> None:
    with server() as (web, port):
        reason = answer(web, http=f"http://127.0.0.1:{port}/{status}")
        assert reason == (None if well else f"GET /{status} answered {status}, expected 200 to 399")


def test_a_server_that_never_answers_is_timed_out() -> None:
    with child(sys.executable, "-c", MUTE_SERVER, "127.0.0.1") as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        reason = answer(subject(process.pid), http=f"http://127.0.0.1:{port}/", timeout_ms=80)
        assert reason == f"127.0.0.1:{port} gave no answer within 80 ms"


def test_a_stopped_process_is_not_alive_although_the_kernel_accepts_for_it() -> None:
    with server() as (web, port):
        psutil.Process(web.pid).suspend()
        assert wait_until(lambda: psutil.Process(web.pid).status() == psutil.STATUS_STOPPED, 60)
        assert answer(web, tcp=f"127.0.0.1:{port}") == f"process {web.pid} is stopped (state T): it needs a CONT"


def test_a_command_probe_answers_by_its_exit_code_and_last_line(tmp_path: Path) -> None:
    with sleeper(working_folder=str(tmp_path), environment={"WORD": "broken"}) as web:
        assert answer(web, command=("true",)) is None
        assert answer(web, command=("sh", "-c", "pwd; echo $WORD; exit 3")) == "command 'sh' exited 3: broken"
        assert (answer(web, command=("no-such-probe",)) or "").startswith("command 'no-such-probe': ")


def test_a_command_probe_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with sleeper() as web:
        for timeout_ms in (300, 3_000, 20_000):  # longer, if it did not even begin
            reason = answer(web, command=("sh", "-c", f"sleep 300 & echo $! > {note}; wait"), timeout_ms=timeout_ms)
            assert reason == f"command 'sh' gave no answer within {timeout_ms} ms"
            if lines_of(note):
                break
        hung = int(note.read_text())
        assert wait_until(lambda: not alive(hung), 60)


class Heard(list[str]):
    """An observer that writes down what it hears."""

    def ready(self) -> None:
        self.append("ready")

    def unready(self, reason: str) -> None:
        self.append(reason)

    def liveness_failed(self, reason: str) -> None:
        self.append(reason)

    def startup_passed(self) -> None:
        self.append("startup passed")

    def startup_failed(self, reason: str) -> None:
        self.append(reason)


def test_a_watcher_that_was_late_itself_gives_no_verdict() -> None:
    heard = Heard()
    heard_at: list[list[str]] = []

    async def ask() -> str | None:
        heard_at.append(list(heard))
        await asyncio.sleep(0)
        if len(heard_at) == 2:
            end = time.monotonic() + 0.5
            while time.monotonic() < end:  # the loop hangs, as if this process had been stopped
                pass
        return "no answer" if len(heard_at) == 2 or len(heard_at) >= 4 else None

    async def main() -> None:
        lag = Lag()
        lag.start()
        probe = Probe(process=True, period_ms=400, failure_threshold=1)
        watch = asyncio.create_task(Watch(Probes(liveness=probe), lambda _: ask, heard, lag).run(time.monotonic()))
        await until(lambda: "no answer" in heard)
        watch.cancel()
        lag.close()

    asyncio.run(main())
    assert heard_at[2] == heard_at[3] == ["startup passed", "ready"]
    assert heard == ["startup passed", "ready", "no answer"]
