"""One run of a component, seen from the agent: started or adopted through its shim, stopped, and its end awaited."""

# ruff: noqa: S603 - starting programs is the purpose; a shim must outlive the loop that starts it

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from .command import HostCommand
from .runs import Run, RunState, survivors
from .shim import record, tree
from .shim.lease import Lease, lease_from

SHIM = Path(__file__).with_name("shim")
START_S = 20.0
"""A shim is there within 50 ms; on a machine that takes this long for it nothing can be supervised."""
SWEEP_S = 10.0
SPAWNS_MAX = 5
LINE_BYTES = 1 << 20
SHIM_SLACK_S = 10.0
"""What a shim may need beyond the grace to kill a tree and say so; one that needs longer is hung and is killed."""


class ShimMissing(RuntimeError):
    """The shim never came up: the host lacks memory or processes, or the Python that runs HMS was removed."""


class Identity(NamedTuple):
    """Which process it is, for ever: a pid alone is reused."""

    boot_id: str
    pid: int
    start_ticks: int
    started_at: int


class Process:
    """A run whose shim is, or was, alive. Make it by `start` or `adopt`."""

    def __init__(self, run: Run, shim: "subprocess.Popen[bytes] | None" = None, lease: Lease | None = None) -> None:
        """Use `start` or `adopt` instead."""
        self.run = run
        self.lease = lease
        self.identity: Identity | None = None
        self.shim_pid = 0
        self.exited: asyncio.Future[record.Exit] = asyncio.get_running_loop().create_future()
        self._shim = shim
        self._spawned = 1
        self._writer: asyncio.StreamWriter | None = None
        self._told = asyncio.Event()
        self._listening = asyncio.create_task(self._listen(), name=f"listen {run.folder}")

    @classmethod
    async def start(cls, run: Run, command: HostCommand, lease: Lease | None = None) -> "Process":
        """Start the run, or join it if it was started before; return once its command was executed or has failed.

        What is leased starts only under a lease, and ends with it: its shim sees to that, whoever else lives.

        Raises:
            ShimMissing: No shim came up within 20 s.

        """
        await asyncio.to_thread(run.prepare, command)
        shim = _spawn(run.folder, lease) if run.state() is RunState.PREPARED else None
        process = cls(run, shim, lease)
        return await process.introduced()

    @classmethod
    async def adopt(cls, run: Run) -> "Process":
        """Join a run that another agent started; one that is over, or lost, comes with `exited` done."""
        return await cls(run).introduced()

    async def stop(self, name: str, grace_ms: int) -> record.Exit:
        """Send the signal (TERM: without SIG) and CONT to the whole tree, KILL what is left after the grace.

        A shim that does not answer in time is killed with all that it watched; how the component ended is then unknown.
        """
        self._ask({"ask": "stop", "signal": name, "grace_ms": grace_ms})
        return await self._ended_within(grace_ms / 1000 + SHIM_SLACK_S)

    async def kill(self) -> record.Exit:
        """Kill the whole tree at once."""
        self._ask({"ask": "kill"})
        return await self._ended_within(SHIM_SLACK_S)

    def renew(self, lease: Lease) -> None:
        """Let it run until that lease is over."""
        self.lease = lease
        self._ask({"ask": "lease", "lease": lease})

    async def end_with_lease(self) -> None:
        """Kill a shim that did not end its component with the lease (stopped, starved), and so the component."""
        await asyncio.to_thread(self._kill_shim)

    @property
    def left(self) -> bool:
        """Whether it is over and its shim is gone."""
        return self._listening.done()

    async def detach(self) -> None:
        """Stop watching; the component runs on. Of one that is over, only the shim's leaving is waited for, briefly."""
        if self.exited.done():
            await asyncio.wait({self._listening}, timeout=1)
        self._listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listening
        self._close()
        if not self.exited.done():
            self.exited.cancel()
        if self._shim is not None:
            self._shim.returncode = self._shim.poll() or 0  # it is let go on purpose: no warning that it still runs

    async def introduced(self) -> "Process":
        """Return once it is known what runs, or how it ended; a shim that hangs is killed and so becomes unknown."""
        try:
            known = await self._known_within(START_S)
            if not known and self._kill_shim():
                known = await self._known_within(START_S)
        except BaseException:
            await self.detach()
            raise
        if not known:
            await self.detach()
            raise ShimMissing(
                f"{self.run.folder}: the shim did not come up within {START_S:.0f} s; expected a socket `door` there. "
                f"See `shim.err` in that folder, the load of this host, and whether {sys.executable} still exists"
            )
        return self

    async def _known_within(self, seconds: float) -> bool:
        told = asyncio.create_task(self._told.wait())
        done, _ = await asyncio.wait({told, self._listening}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if self._listening in done:
            self._listening.result()
        return self._told.is_set()

    def _kill_shim(self) -> bool:
        """Kill a shim that does not answer (stopped, starved), and with it its component; False if there is none."""
        pid = self.shim_pid or int((record.load(str(self.run.folder / record.RUNNING)) or {}).get("shim", 0))
        row = tree.read(pid) if pid else None
        if row is None or str(self.run.folder) not in tree.describe(pid, whole=True):
            return False
        return tree.send(row, signal.SIGKILL)

    async def _ended_within(self, seconds: float) -> record.Exit:
        done, _ = await asyncio.wait({self.exited}, timeout=seconds)
        if not done:
            await asyncio.to_thread(self._kill_shim)
        return await asyncio.shield(self.exited)

    def _ask(self, request: dict[str, Any]) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(json.dumps(request).encode() + b"\n")

    async def _listen(self) -> None:
        while not self.exited.done():
            reader = await self._connect()
            if reader is not None:
                with contextlib.suppress(ConnectionError):
                    while line := await reader.readline():
                        self._hear(json.loads(line))
                self._close()
            elif (ending := await self._ending()) is not None:
                self._end(ending)
        await self._reap_shim()

    async def _connect(self) -> asyncio.StreamReader | None:
        """Return a connection, None once there is nobody to connect to."""
        pause = 0.003
        while True:
            try:
                reader, self._writer = await _open_door(self.run.folder)
            except OSError:
                if not self._may_come():
                    return None
            else:
                return reader
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.1)

    def _may_come(self) -> bool:
        state = self.run.state()
        if state is RunState.PREPARED and (self._shim is None or self._shim.poll() is not None):
            # Never begun: its agent died before, or our look at the lock was taken for another shim.
            self._spawn_again()
        return state in {RunState.PREPARED, RunState.RUNNING}

    def _spawn_again(self) -> None:
        self._spawned += 1
        if self._spawned > SPAWNS_MAX:
            raise ShimMissing(
                f"{self.run.folder}: the shim ended {SPAWNS_MAX} times without a word: see `shim.err` there"
            )
        self._shim = _spawn(self.run.folder, self.lease)

    def _hear(self, message: dict[str, Any]) -> None:
        if "exit" in message:
            self._end(record.exit_from(message["exit"]))
            self._ask({"ask": "acknowledge"})
        elif "status" in message:
            status = message["status"]
            self.shim_pid = status.pop("shim")
            self.lease = lease_from(status.pop("lease", None))
            self.identity = Identity(**status)
            self._told.set()

    async def _ending(self) -> record.Exit | None:
        """Return how a run without a shim ended; a tree that was left unwatched is ended first."""
        await self._reap_shim()
        if (ending := self.run.exit()) is None and self.run.state() is RunState.LOST:
            await sweep(self.run.folder)
            ending = await asyncio.to_thread(self.run.write_off)
        return ending

    async def _reap_shim(self) -> None:
        if self._shim is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._shim.wait, 1)

    def _end(self, ending: record.Exit) -> None:
        if not self.exited.done():
            if self.identity is None and ending.pid:
                self.identity = Identity(ending.boot_id, ending.pid, ending.start_ticks, ending.started_at)
            self.exited.set_result(ending)
            self._told.set()

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


async def sweep(folder: Path) -> None:
    """Kill what a dead shim left running; gives up on what may not be killed after 10 s."""
    deadline = time.monotonic() + SWEEP_S
    while rows := await asyncio.to_thread(survivors, folder):
        tree.send_all(rows, signal.SIGKILL)
        if time.monotonic() > deadline:
            return
        await asyncio.sleep(0.02)


def _spawn(folder: Path, lease: Lease | None) -> "subprocess.Popen[bytes]":
    words = [json.dumps(lease)] if lease is not None else []
    with (folder / "shim.err").open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(SHIM), str(folder), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd="/",
            start_new_session=True,
        )


async def _open_door(folder: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if not tree.LINUX:
        return await asyncio.open_unix_connection(folder / record.DOOR, limit=LINE_BYTES)
    # Through a descriptor, because a socket's name may have 107 bytes and a state folder may be deep.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return await asyncio.open_unix_connection(f"/proc/self/fd/{descriptor}/{record.DOOR}", limit=LINE_BYTES)
    finally:
        os.close(descriptor)
