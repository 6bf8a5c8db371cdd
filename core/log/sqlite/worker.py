"""The writing thread: group commit, one a process.

Everything queued (appends, commits of any shard, openings, leases) runs in one transaction, with one fsync for all, and
is answered together afterwards. A job that is refused fails alone; an error of SQLite fails the group, and the
thread goes on with the next. Locks of other processes are waited for in steps of 0.3 ms until each job's own deadline.
"""

import asyncio
import contextlib
import queue
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ...clock import Clock
from ...errors import HmsError, LogUnreachable
from .checkpoint import Checkpointer
from .file import BUSY_PAUSE_S, State, connect, is_busy
from .identity import FileIdentity
from .transaction import Transaction

Work = Callable[[Transaction], Any]
Answers = list[tuple["asyncio.Future[Any] | None", Any]]

SWITCH_INTERVAL_S: Final = 0.0005
"""Of Python's lock, set for the process. At the default of 5 ms a busy event loop, which lets the lock go more often than that but
at once takes it again, starves the writing thread: up to 400 ms a commit of 1,500 records were measured, now 15."""
_NOT_WRITTEN: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
"""Errors of COMMIT after which the frame that makes it a commit cannot be whole; after a failed fsync it may be."""
GROUP_MAX: Final = 256
"""Jobs a transaction: bounds how long the lock is held."""


@dataclass(slots=True, eq=False)
class Job:
    """What to do inside a transaction, whom to answer, and the error if COMMIT's effect cannot be known."""

    work: Work
    future: "asyncio.Future[Any] | None"
    deadline: float
    unknown: Callable[[str], HmsError]


class Worker:
    """Owns the writing connection and its thread; `deliver` gets answers and the new state on the event loop."""

    def __init__(
        self, path: Path, clock: Clock, deadline_ms: int, deliver: Callable[[State], None], ring: Callable[[], None]
    ) -> None:
        self._path = path
        self._identity = FileIdentity(path)
        self._clock = clock
        self._deadline_s = deadline_ms / 1000
        self._deliver = deliver
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._stopping = False
        self._checkpointer = Checkpointer(path)
        self._periodic: Work | None = None
        self._period_s = 1.0
        self._due = 0.0
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_INTERVAL_S))
        self._thread = threading.Thread(target=self._run, name=f"hms-log-writer {path.name}", daemon=True)
        self._thread.start()

    async def run(self, work: Work, unknown: Callable[[str], HmsError] = LogUnreachable) -> Any:
        """Run `work` in the next transaction and return what it returned once that is durable."""
        if self._stopping:
            raise LogUnreachable(f"the log {self._path} is closed in this process; open it again")
        future = self._loop.create_future()
        self._queue.put(Job(work, future, time.monotonic() + self._deadline_s, unknown))
        return await future

    def every(self, period_ms: int, work: Work | None) -> None:
        """Run `work` (None: no more) once a period, from the thread itself: a busy event loop cannot delay it."""
        self._period_s = period_ms / 1000
        self._due = time.monotonic() + self._period_s
        self._periodic = work

    def monotonic_us(self) -> int:
        """Return the clock that leases are counted on."""
        return self._clock.monotonic_us()

    async def close(self) -> None:
        """Serve what is queued, end the thread and close the connection."""
        if not self._stopping:
            self._stopping = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while not self._stopping or not self._queue.empty():
            jobs = self._collect()
            if jobs:
                self._serve(jobs)
        self._checkpointer.close()
        self._disconnect()

    def _collect(self) -> list[Job]:
        """Wait for jobs, or for the periodic one to be due; take all there are."""
        jobs = self._take_periodic()
        with contextlib.suppress(queue.Empty):
            if not jobs:
                job = self._queue.get(timeout=self._patience_s())
                jobs += [job] if job else []
            while len(jobs) < GROUP_MAX:
                job = self._queue.get_nowait()
                jobs += [job] if job else []
        return jobs

    def _patience_s(self) -> float:
        return max(0.0, min(1.0, self._due - time.monotonic())) if self._periodic else 1.0

    def _take_periodic(self) -> list[Job]:
        now = time.monotonic()
        work = self._periodic
        if work is None or now < self._due:
            return []
        self._due = now + self._period_s
        return [Job(work, None, now + self._deadline_s, LogUnreachable)]

    def _serve(self, jobs: list[Job]) -> None:
        try:
            self._identity.check()
            jobs = self._begin(jobs)
            if not jobs:
                return
            transaction = Transaction(self._connected(), self._clock.wall_us(), self._clock.monotonic_us())
            answers: Answers = [(job.future, _attempt(job.work, transaction)) for job in jobs]
            state = transaction.flush() if transaction.changed else None
        except Exception as error:  # noqa: BLE001 the thread outlives any error; the callers get it
            self._disconnect()
            self._fail(jobs, self._unreachable(error))
            return
        self._commit(jobs, answers, state)

    def _commit(self, jobs: list[Job], answers: Answers, state: State | None) -> None:
        try:
            self._connected().execute("ROLLBACK" if state is None else "COMMIT")
        except sqlite3.Error as error:
            self._disconnect()
            if error.sqlite_errorcode in _NOT_WRITTEN:
                self._fail(jobs, self._unreachable(error))
            else:
                self._answer(
                    [(job.future, job.unknown(f"COMMIT on {self._path} failed: {error}")) for job in jobs], None
                )
            return
        self._answer(answers, state)
        if state is not None:
            self._ring()
            self._checkpointer.written(self._connected())

    def _begin(self, jobs: list[Job]) -> list[Job]:
        """Get the lock; jobs whose deadline passes meanwhile fail, and those that come meanwhile ride along."""
        while jobs:
            try:
                self._connected().execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise
                jobs = self._expire(jobs)
                time.sleep(BUSY_PAUSE_S)
                jobs += self._drain(GROUP_MAX - len(jobs))
            else:
                return jobs
        return jobs

    def _drain(self, room: int) -> list[Job]:
        jobs: list[Job] = []
        with contextlib.suppress(queue.Empty):
            while len(jobs) < room:
                job = self._queue.get_nowait()
                jobs += [job] if job else []
        return jobs

    def _expire(self, jobs: list[Job]) -> list[Job]:
        now = time.monotonic()
        late = [job for job in jobs if job.deadline <= now]
        if late:
            text = f"the log {self._path} was locked for over {self._deadline_s:g} s; is a process stopped while it writes?"
            self._fail(late, LogUnreachable(text))
        return [job for job in jobs if job.deadline > now]

    def _unreachable(self, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        wrapped = LogUnreachable(f"cannot write the log {self._path}: {error}; nothing was written")
        wrapped.__cause__ = error
        return wrapped

    def _fail(self, jobs: list[Job], error: Exception) -> None:
        self._answer([(job.future, error) for job in jobs], None)

    def _answer(self, answers: Answers, state: State | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there to hear
            self._loop.call_soon_threadsafe(self._deliver_all, answers, state)

    def _deliver_all(self, answers: Answers, state: State | None) -> None:
        if state is not None:
            self._deliver(state)
        for future, result in answers:
            if future is None or future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self._path)
        return self._connection

    def _disconnect(self) -> None:
        """Roll back and start afresh: after an I/O error a connection is not to be trusted."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def _attempt(work: Work, transaction: Transaction) -> Any:
    """Run a job that may refuse itself; it must refuse before it writes."""
    try:
        return work(transaction)
    except HmsError as error:
        return error
