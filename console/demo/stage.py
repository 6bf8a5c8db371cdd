"""Where the demo plays: a temporary folder, a log of its own, and `hms up` as a process that can be killed like any other."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil

from ...core.client import connect
from ...core.log.open import open_log
from ...core.log.port import Log
from ...schemas.component_events import ComponentStarted
from ..session import follow_events, line_of
from ..session.news import cursor_now
from ..session.screen import Screen
from .chronicle import Chronicle
from .fleet import Ports, free_ports, shortly, write_fleet

END_S = 10.0
_HMS = (sys.executable, "-c", "from hms.console.cli import main; raise SystemExit(main())")


class Stage:
    """Made by `set_up`; when that ends, nothing that was started here is left."""

    def __init__(self, folder: Path, log: Log, screen: Screen) -> None:
        """Use `set_up` instead."""
        self.folder = folder
        self.log = log
        self.ports: Ports = free_ports()
        self.file = write_fleet(folder, self.ports)
        self.chronicle = Chronicle()
        self.screen = screen
        self.supervisor: asyncio.subprocess.Process | None = None

    async def start_supervisor(self) -> None:
        """Start `hms up` in a session of its own: a Ctrl-C is for the demo, which then ends it."""
        with (self.folder / "up.log").open("ab") as output:
            self.supervisor = await asyncio.create_subprocess_exec(
                *_HMS,
                *("up", "-f", str(self.file), "--log", self.log.url),
                cwd=self.folder,
                env={**os.environ, "XDG_STATE_HOME": str(self.folder / "state")},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def end_supervisor(self, number: signal.Signals) -> int | None:
        """Send `hms up` a signal; return its exit code, None if it did not end within 10 s."""
        if self.supervisor is None:
            return None
        with suppress(ProcessLookupError):
            self.supervisor.send_signal(number)
        try:
            async with asyncio.timeout(END_S):
                return await self.supervisor.wait()
        except TimeoutError:
            return None

    def pid(self, component: str) -> int:
        """Return the component's newest pid, as the log has it."""
        pids = [
            told.event.pid
            for told in self.chronicle.told
            if isinstance(told.event, ComponentStarted) and told.who == f"component/{component}"
        ]
        return int(pids[-1]) if pids else 0

    def processes(self) -> list[psutil.Process]:
        """Return every process that was started here, whoever its parent is now."""
        return [process for process in psutil.process_iter() if _is_of(process, str(self.folder))]

    def said_by_supervisor(self) -> str:
        """Return the last lines of `hms up`."""
        lines = (self.folder / "up.log").read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-10:])

    async def clear(self) -> int:
        """End whatever is left; return how many processes that were."""
        if self.supervisor is not None and self.supervisor.returncode is None:
            await self.end_supervisor(signal.SIGKILL)
        left = self.processes()
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=END_S)
        return len(left)

    async def follow(self, cursor: str) -> None:
        """Note and tell every event."""
        async with connect(self.log, name="demo") as client:
            async for recorded in follow_events(client, cursor):
                self.chronicle.note(recorded)
                line = line_of(recorded)
                self.screen.tell(recorded, line and line._replace(text=shortly(line.text)))


@asynccontextmanager
async def set_up(screen: Screen, *, keep: bool) -> AsyncIterator[Stage]:
    """Prepare folder, log and fleet file, and follow the log; the folder goes at the end, unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="hms-demo-"))
    log = await open_log(f"sqlite:{folder / 'log.db'}")
    stage = Stage(folder, log, screen)
    following = asyncio.create_task(stage.follow(await cursor_now(log)), name="demo: follow")
    try:
        yield stage
    finally:
        await stage.clear()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await log.close()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _is_of(process: psutil.Process, folder: str) -> bool:
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        marked = process.environ().get("HMS_RUN", "").startswith(folder)
        return marked or any(folder in word for word in process.cmdline())
    except psutil.Error:
        return False
