"""One question to a component: is it alive, does its port answer, does a command succeed.

An answer is None (all well) or the reason why not, in words for people.
"""

import asyncio
import contextlib
import os
import signal
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from ...schemas.fleet import ComponentSpec, Probe
from .listener import Ownership
from .shim import tree

OUTPUT_BYTES = 4_096
HEADER_BYTES = 65_536
OK_STATUS = range(200, 400)

Question = Callable[[], Awaitable[str | None]]


class Subject(NamedTuple):
    """The component's main process and the root of its tree."""

    pid: int
    start_ticks: int
    shim_pid: int
    spec: ComponentSpec

    def pids(self) -> frozenset[int]:
        """Return all processes of the component."""
        return frozenset(row.pid for row in tree.below(self.shim_pid, tree.everything()))


def question(probe: Probe, subject: Subject) -> Question:
    """Return what the probe asks; every kind first asks whether the process can answer at all.

    That matters: the kernel accepts connections for a stopped process.
    """
    if probe.tcp is not None:
        host, port = _host_and_port(probe.tcp)
        return _owned(_Tcp(host, port, probe.timeout_ms), Ownership(host, port), subject)
    if probe.http is not None:
        http = _Http(urlsplit(probe.http), probe.timeout_ms)
        return _owned(http, Ownership(http.host, http.port), subject)
    if probe.command is not None:
        return _alive_first(_Command(probe.command, probe.timeout_ms, subject.spec), subject)
    return _alive_first(_nothing_more, subject)


def not_alive(subject: Subject) -> str | None:
    """Return why the main process cannot work: gone, stopped or zombie; None if it can."""
    row = tree.read(subject.pid)
    if row is None or row.ticks != subject.start_ticks:
        return f"process {subject.pid} is gone"
    if row.state == "T":
        return f"process {subject.pid} is stopped (state T): it needs a CONT"
    return f"process {subject.pid} is a zombie (state {row.state})" if row.zombie else None


def _alive_first(ask: Question, subject: Subject) -> Question:
    async def asked() -> str | None:
        return not_alive(subject) or await ask()

    return asked


def _owned(ask: Question, ownership: Ownership, subject: Subject) -> Question:
    async def asked() -> str | None:
        if reason := not_alive(subject):
            return reason
        reason = await ask()
        # After, so that the socket asked about is the one that answered; of two reasons a thief is the better one.
        return await asyncio.to_thread(ownership.complaint, subject.pids) or reason

    return asked


async def _nothing_more() -> str | None:
    return None


class _Tcp:
    def __init__(self, host: str, port: int, timeout_ms: int) -> None:
        self._host, self._port, self._timeout_ms = host, port, timeout_ms

    async def __call__(self) -> str | None:
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                _, writer = await asyncio.open_connection(self._host, self._port)
        except (OSError, TimeoutError) as error:
            return _unreachable(self._host, self._port, error, self._timeout_ms)
        writer.close()
        return None


class _Http:
    def __init__(self, url: SplitResult, timeout_ms: int) -> None:
        secure = url.scheme == "https"
        self.host, self.port = url.hostname or "127.0.0.1", url.port or (443 if secure else 80)
        self._path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        self._name = url.netloc.rpartition("@")[2]
        self._timeout_ms = timeout_ms
        self._tls = _any_certificate() if secure else None

    async def __call__(self) -> str | None:
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                status = await self._status()
        except (OSError, TimeoutError, EOFError, ValueError) as error:
            return _unreachable(self.host, self.port, error, self._timeout_ms)
        return None if status in OK_STATUS else f"GET {self._path} answered {status}, expected 200 to 399"

    async def _status(self) -> int:
        reader, writer = await asyncio.open_connection(self.host, self.port, ssl=self._tls, limit=HEADER_BYTES)
        try:
            request = (
                f"GET {self._path} HTTP/1.1\r\nHost: {self._name}\r\nUser-Agent: hms-probe\r\nConnection: close\r\n\r\n"
            )
            writer.write(request.encode())
            line = await reader.readline()
        finally:
            writer.close()
        version, _, rest = line.partition(b" ")
        if not version.startswith(b"HTTP/") or not rest[:3].isdigit():
            raise ValueError(f"expected a status line of HTTP, got {line[:60]!r}")
        return int(rest[:3])


class _Command:
    def __init__(self, command: tuple[str, ...], timeout_ms: int, spec: ComponentSpec) -> None:
        self._command, self._timeout_ms, self._spec = command, timeout_ms, spec
        self._folder = Path(spec.working_folder).absolute()

    async def __call__(self) -> str | None:
        try:
            process = await self._start()
        except (OSError, ValueError, KeyError) as error:
            return f"command {self._command[0]!r}: {error}"
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                output = await _end_of_output(process)
                code = await process.wait()
        except TimeoutError:
            return f"command {self._command[0]!r} gave no answer within {self._timeout_ms} ms"
        finally:
            await _end(process)
        said = output.decode(errors="replace").strip().splitlines()
        return (
            None if code == 0 else f"command {self._command[0]!r} exited {code}{': ' + said[-1][:200] if said else ''}"
        )

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self._folder,
            env={**os.environ, **self._spec.environment},
            user=self._spec.user,
            start_new_session=True,
        )


async def _end_of_output(process: asyncio.subprocess.Process) -> bytes:
    tail = b""
    while process.stdout is not None and (chunk := await process.stdout.read(HEADER_BYTES)):
        tail = (tail + chunk)[-OUTPUT_BYTES:]
    return tail


async def _end(process: asyncio.subprocess.Process) -> None:
    """Leave nothing of a probe behind, children included; they are in a session of their own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        raise ValueError(f"tcp: expected HOST:PORT, got {address!r}")
    return host.strip("[]") or "127.0.0.1", int(port)


def _any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _unreachable(host: str, port: int, error: Exception, timeout_ms: int) -> str:
    if isinstance(error, TimeoutError):
        return f"{host}:{port} gave no answer within {timeout_ms} ms"
    if isinstance(error, ConnectionRefusedError):
        return f"{host}:{port}: connection refused, nobody listens there"
    return f"{host}:{port}: {error}"
