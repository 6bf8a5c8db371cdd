"""`hms sql` as people and scripts run it: forms, named queries, following, the shell, Ctrl-C."""

import asyncio
import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
from run_docs import wait_until

from hms.actors.app import hms_app
from hms.core.address import Address
from hms.core.client import connect
from hms.core.log.open import open_log
from hms.core.runtime.node import Node
from hms.schemas.task import CancelTask

from ..command import HMS

ENDLESS = "SELECT count(*) FROM range(1000000000000) AS a"


class Ran(NamedTuple):
    code: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def cancel(path: Path, *ids: str) -> None:
    """Let a node keep the cancellations of tasks that have not come yet: an event each."""
    log = await open_log(f"sqlite:{path}")
    async with Node(log, [hms_app], name="before"), connect(log, name="tester") as client:
        for one in ids:
            await client.ask(Address[Any]("meta_supervisor/main"), CancelTask(task_id=one))
    await log.close()


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder whose log was written by a node that has left."""
    folder = tmp_path_factory.mktemp("used")
    asyncio.run(cancel(folder / "hms" / "log.db", "a", "b", "c"))
    return folder


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "XDG_STATE_HOME": str(folder)}


def hms(folder: Path, *arguments: str, text: str = "") -> Ran:
    done = subprocess.run(
        [*HMS, "sql", *arguments],
        env=environment(folder),
        input=text.encode(),
        capture_output=True,
        timeout=110,
        check=False,
    )
    assert b"Traceback" not in done.stderr
    return Ran(done.returncode, done.stdout, done.stderr.decode())


SQL = "SELECT task_id, at_, envelope.source AS who, NULL AS nothing FROM cancellation_kept ORDER BY task_id"


def test_an_answer_comes_as_text_json_lines_csv_and_parquet_with_the_moment_it_is_of(used: Path) -> None:
    text = hms(used, SQL)
    assert text.out.decode().splitlines()[0].split() == ["task_id", "at_", "who", "nothing"]
    assert [line.split()[0] for line in text.out.decode().splitlines()[1:]] == ["a", "b", "c"]
    assert text.err.startswith("as of 2")
    assert "events to " in text.err
    array = hms(used, SQL, "-o", "json").json
    assert [row["task_id"] for row in array] == ["a", "b", "c"]
    assert array[0]["at_"].endswith("Z")
    assert array[0]["nothing"] is None
    lines = [json.loads(line) for line in hms(used, SQL, "-o", "jsonl").out.splitlines()]
    assert lines == array
    csv = hms(used, SQL, "-o", "csv").out.decode().splitlines()
    assert csv[0] == "task_id,at_,who,nothing"
    assert csv[1] == f"a,{array[0]['at_']},meta_supervisor/main,"
    table = pq.read_table(io.BytesIO(hms(used, SQL, "-o", "parquet").out))
    assert table.column("task_id").to_pylist() == ["a", "b", "c"]


def test_an_empty_answer_has_its_columns_in_every_form(used: Path) -> None:
    sql = "SELECT task_id FROM cancellation_kept WHERE false"
    assert hms(used, sql, "-o", "json").json == []
    assert hms(used, sql, "-o", "csv").out == b"task_id\n"
    assert pq.read_table(io.BytesIO(hms(used, sql, "-o", "parquet").out)).num_rows == 0


def test_a_query_comes_from_a_file_or_from_standard_input(used: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.sql"
    file.write_text("-- Mine\n-- param least number 1\nSELECT count(*) AS n FROM events HAVING n >= $least")
    assert hms(used, "-f", str(file), "-o", "json").json == [
        {"n": hms(used, "SELECT count(*) AS n FROM events", "-o", "json").json[0]["n"]}
    ]
    assert hms(used, "-f", str(file), "--param", "least=100000", "-o", "json").json == []
    assert hms(used, "-o", "csv", text="SELECT 1 AS x").out == b"x\n1\n"
    assert hms(used, "SELECT 1", "-f", str(file)).code == 2


def test_a_named_query_answers_by_its_name(used: Path) -> None:
    latency = hms(used, "run", "request-latency", "-o", "json").json
    assert [(row["request"], row["requests"], row["unanswered"]) for row in latency] == [
        ("(all)", 3, 0),
        ("hms.CancelTask", 3, 0),
    ]
    assert 0 < latency[0]["p95_ms"] < 60_000


def test_what_cannot_be_asked_is_said_with_what_to_do(used: Path) -> None:
    copied = hms(used, "COPY (SELECT 1) TO 'x'")
    assert "exactly one SELECT" in copied.err
    assert copied.code == 2
    assert "mttr" in hms(used, "run", "nonsense").err
    assert "it takes since" in hms(used, "run", "mttr", "--param", "sense=1").err
    assert hms(used, "run", "mttr", "--param", "since=yesterday-ish").code == 2
    endless = hms(used, ENDLESS, "--timeout-ms", "300")
    assert "--timeout-ms" in endless.err
    assert endless.code == 1


def test_the_list_has_views_and_named_queries_even_before_there_is_a_log(tmp_path: Path) -> None:
    items = {item["name"]: item for item in hms(tmp_path, "--list", "-o", "json").json}
    assert items["mttr"]["kind"] == "query"
    assert items["component_exited"]["what"] == "hms.ComponentExited"
    assert {"events", "messages", "task_transitions", "incidents", "metric_samples", "restarts"} <= items.keys()


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [*HMS, "sql", *arguments],
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_following_shows_new_rows_as_they_come_and_only_those(tmp_path: Path) -> None:
    path = tmp_path / "hms" / "log.db"
    asyncio.run(cancel(path, "a", "b"))
    with running(tmp_path, "SELECT task_id FROM cancellation_kept ORDER BY 1", "--follow", "-o", "jsonl") as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == [b'{"task_id":"a"}\n', b'{"task_id":"b"}\n']
        asyncio.run(cancel(path, "c"))
        assert process.stdout.readline() == b'{"task_id":"c"}\n'
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130


def test_ctrl_c_ends_a_query_within_a_second(used: Path) -> None:
    # Now and then a machine stands still for a while: what takes its time each time is the query.
    assert any(ended_by_ctrl_c_s(used) < 1 for _ in range(5))


def ended_by_ctrl_c_s(used: Path) -> float:
    with running(used, ENDLESS) as process:
        assert wait_until(lambda: bool(children_of(process.pid)), 60)
        (child,) = children_of(process.pid)
        assert wait_until(lambda: cpu_s(child) >= 1, 60)  # it has begun
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        took_s = time.monotonic() - started
        assert not Path(f"/proc/{child}").exists()
        return took_s


def children_of(pid: int) -> list[int]:
    import psutil  # noqa: PLC0415

    return [child.pid for child in psutil.Process(pid).children()]


def cpu_s(pid: int) -> float:
    import psutil  # noqa: PLC0415

    return sum(psutil.Process(pid).cpu_times()[:2])


ON_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """The shell on a terminal of its own, spoken to by keys."""

    def __init__(self, folder: Path) -> None:
        self.main, side = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", ON_TERMINAL, *HMS, "sql"],
            env={**environment(folder), "TERM": "dumb"},
            stdin=side,
            stdout=side,
            stderr=side,
            start_new_session=True,
        )
        os.close(side)
        self.seen = ""

    def type(self, keys: str) -> None:
        os.write(self.main, keys.encode())

    def wait(self, text: str, limit_s: float = 60) -> str:
        """Return what came up to and with a text."""
        deadline = time.monotonic() + limit_s
        while text not in self.seen:
            ready, _, _ = select.select([self.main], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"expected {text!r}, saw {self.seen!r}"
            self.seen += os.read(self.main, 4096).decode(errors="replace")
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def ctrl_c_s(self) -> float:
        """Ask what has no end, and say how long Ctrl-C takes to end it."""
        used_s = {child: cpu_s(child) for child in children_of(self.process.pid)}
        self.type(f"{ENDLESS};\n")
        self.wait(";")
        works = 1.5  # seconds: more than a start takes
        assert wait_until(lambda: any(cpu_s(c) > used_s.get(c, 0) + works for c in children_of(self.process.pid)), 60)
        started = time.monotonic()
        self.type("\x03")
        self.wait("the query was ended")
        took_s = time.monotonic() - started
        self.wait("hms> ")
        return took_s

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.main)


def test_the_shell_completes_keeps_its_history_and_survives_ctrl_c(used: Path) -> None:
    with closing(Terminal(used)) as terminal:
        terminal.wait("hms> ")
        terminal.type("select count(*) as kept from cancellation_k\t")
        terminal.wait("cancellation_kept")
        terminal.type(";\n")
        assert "3" in terminal.wait("as of")
        terminal.wait("hms> ")
        assert any(terminal.ctrl_c_s() < 1 for _ in range(5))
        terminal.type("selec;\n")
        terminal.wait("syntax error")
        terminal.wait("hms> ")
        terminal.type("select 41 + 1\n")
        terminal.wait("...> ")
        terminal.type("as sum;\n")
        terminal.wait("42")
        terminal.wait("hms> ")
        terminal.type("select 'a;\n")
        terminal.wait("...> ")
        terminal.type("b' as text; -- done\n")
        terminal.wait("a;\\nb")
        terminal.wait("hms> ")
        terminal.type(".run exits 'component=no such'\n")
        terminal.wait("last_cause")
        terminal.wait("hms> ")
        terminal.type(".describe incidents\n")
        terminal.wait("opened_at")
        terminal.wait("hms> ")
        terminal.type(".run mttr since=-1d\n")
        terminal.wait("mttr_s")
        terminal.wait("hms> ")
        terminal.type("\x04")
        assert terminal.process.wait(60) == 0
    history = used / "hms" / "sql-history"
    assert "select count(*) as kept from cancellation_kept;" in history.read_text()
    assert history.stat().st_mode & 0o777 == 0o600
