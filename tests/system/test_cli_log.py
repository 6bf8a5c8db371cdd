"""The command line on logs of every kind: none yet, without a node, tampered with; and how long it takes to start."""

import asyncio
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import hms
from hms.actors.app import hms_app
from hms.console.cli.doctor.machine import agents, disk, fsync, nearest, state_folder
from hms.core.address import Address
from hms.core.client import connect
from hms.core.errors import Refused
from hms.core.log.open import open_log
from hms.core.runtime.node import Node
from hms.schemas.component import DescribeComponent
from hms.schemas.task import CancelTask, ListTasks

from ..command import Ran

HMS = str(Path(sys.executable).with_name("hms"))
EVENTS_NUMBER = 6
"""Of `hms.events` in the file: see `core/log/sqlite/layout.py`."""


def run(folder: Path, *arguments: str) -> Ran:
    environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
    done = subprocess.run(
        [HMS, *arguments], env=environment, cwd=folder, capture_output=True, text=True, timeout=110, check=False
    )
    assert "Traceback" not in done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


async def _use(path: Path) -> None:
    """Let a node of HMS's own handle a few messages, one of which cannot be."""
    log = await open_log(f"sqlite:{path}")
    meta: Address[Any] = Address("meta_supervisor/main")
    async with Node(log, [hms_app], name="before"), connect(log, name="tester") as client:
        await client.ask(meta, ListTasks())
        for number in range(3):
            await client.ask(meta, CancelTask(task_id=f"early-{number}"))
        with pytest.raises(Refused):
            await client.ask(Address[Any]("component/web"), CancelTask(task_id="x"))
        with pytest.raises(Refused):
            await client.ask(Address[Any]("component/web"), DescribeComponent())
    await log.close()


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder whose log was written by a node that has left."""
    folder = tmp_path_factory.mktemp("used")
    asyncio.run(_use(folder / "hms" / "log.db"))
    return folder


READS = [
    ["component", "list"],
    ["supervisor", "list"],
    ["task", "list"],
    ["event", "list"],
    ["event", "count"],
    ["dead-letter", "list"],
    ["node", "list"],
    ["shard", "list"],
    ["log", "info"],
    ["log", "verify"],
]


@pytest.mark.parametrize("command", READS, ids=" ".join)
def test_a_read_of_a_log_that_is_not_there_is_exit_5_and_creates_nothing(tmp_path: Path, command: list[str]) -> None:
    ran = run(tmp_path, *command)
    assert (ran.code, ran.out) == (5, "")
    assert "no log there yet" in ran.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", READS, ids=" ".join)
def test_every_read_works_without_a_node_and_says_so(used: Path, command: list[str]) -> None:
    ran = run(used, *command, "-o", "json")
    assert ran.code == 0
    assert "no node runs: showing the log as of its last commit 2" in ran.err
    json.loads(ran.out)


def is_refused_at_once(folder: Path, change: list[str]) -> bool:
    begun = time.monotonic()
    ran = run(folder, *change)
    assert (change, ran.code, ran.out) == (change, 5, "")
    assert "no node runs" in ran.err
    return time.monotonic() - begun < 10


def test_every_change_without_a_node_is_exit_5_at_once(used: Path) -> None:
    (used / "task.yaml").write_text("task_type: Recovery\nparameters: {component_id: web}\n")
    letter = json.loads(run(used, "dead-letter", "list", "-o", "json").out)[0]["id"]
    changes = [["component", verb, "web"] for verb in ("start", "stop", "restart", "pause", "resume", "reset")]
    changes += [["task", "submit", "task.yaml"], ["task", "cancel", "x"], ["dead-letter", "retry", letter]]
    before = run(used, "event", "count", "--all", "--topic", "all").out
    for change in changes:
        # Now and then a machine stands still for a while: what takes its time each time is the command.
        assert any(is_refused_at_once(used, change) for _ in range(3)), change
    assert run(used, "event", "count", "--all", "--topic", "all").out == before, "nothing was written"


def test_a_dead_letter_is_listed_and_shown_whole(used: Path) -> None:
    (letter,) = json.loads(run(used, "dead-letter", "list", "-o", "json").out)
    assert (letter["reason"], letter["type"], letter["destination"]) == (
        "undeliverable",
        "hms.CancelTask",
        "component/web",
    )
    assert (letter["source"], letter["retries"]) == ("client/tester", 0)
    shown = json.loads(run(used, "dead-letter", "show", letter["id"], "-o", "json").out)
    assert shown["data"] == {"task_id": "x", "reason": ""}
    assert shown["envelope"]["id"] == letter["message_id"]
    assert run(used, "dead-letter", "show", "nope").code == 3


@pytest.mark.parametrize(
    "command",
    [
        ["bogus"],
        ["node", "bogus"],
        ["event", "bogus"],
        ["component", "list", "-o", "xml"],
        ["component", "describe"],
        ["event", "list", "--bogus"],
        ["event", "list", "-n", "-3"],
        ["event", "tail", "-n", "-3"],
        ["component", "logs", "web", "-n", "-3"],
    ],
)
def test_a_mistake_in_the_command_is_exit_2_with_one_line(used: Path, command: list[str]) -> None:
    ran = run(used, *command)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("hms: ")


def test_the_shards_of_a_log_without_a_node_are_orphaned_and_have_their_last_commits(used: Path) -> None:
    shards = json.loads(run(used, "shard", "list", "-o", "json").out)
    assert [shard["shard"] for shard in shards] == list(range(16))
    assert {(shard["owner"], shard["state"], *shard["lag"].values()) for shard in shards} == {
        (None, "orphaned", 0, 0, 0, 0)
    }
    assert all(shard["sequence"] >= 0 and shard["epoch"] >= 1 and shard["committed_at"] for shard in shards)
    table = run(used, "shard", "list").out.splitlines()
    assert " ".join(table[0].split()) == "SHARD OWNER STATE EPOCH CRITICAL HIGH NORMAL LOW LAST COMMIT AT"
    assert len(table) == 17


def test_a_node_is_listed_and_described_while_it_runs_and_remembered_when_it_was_killed(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'log.db'}"
    node = subprocess.Popen([HMS, "node", "--log", url, "--name", "n1"], stdout=subprocess.PIPE, text=True)
    try:
        assert node.stdout is not None
        while "owns 16 of 16" not in node.stdout.readline():
            assert node.poll() is None
        ((listed,), described) = (
            json.loads(run(tmp_path, "node", *words, "--log", url, "-o", "json").out)
            for words in (["list"], ["describe", "n1"])
        )
        assert (listed["node"], listed["alive"], listed["shards"]) == ("n1", True, list(range(16)))
        assert {(shard["owner"], shard["state"]) for shard in described["shards"]} == {("n1", "owned")}
        text = run(tmp_path, "node", "describe", "n1", "--log", url).out
        assert text.startswith("node     n1\nalive    yes\n")
        assert len(text.splitlines()) == 3 + 1 + 17
    finally:
        node.kill()
        node.communicate()
    (dead,) = json.loads(run(tmp_path, "node", "list", "--log", url, "-o", "json").out)
    assert (dead["node"], dead["alive"]) == ("n1", False)
    missing = run(tmp_path, "node", "describe", "n2", "--log", url)
    assert (missing.code, missing.out) == (3, "")
    assert "no node 'n2' within the last hour; there are: n1" in missing.err


def test_a_file_that_is_no_log_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a log\n" * 1_000)
    ran = run(tmp_path, "event", "count", "--log", "sqlite:notes.txt")
    assert ran.code == 1
    assert "notes.txt is not an SQLite file" in ran.err


def test_the_environment_names_the_log_and_the_option_beats_it(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HMS_LOG", "sqlite:elsewhere.db")
    assert "elsewhere.db" in run(used, "event", "count").err
    assert run(used, "event", "count", "--log", f"sqlite:{used}/hms/log.db").code == 0


def tampered(used: Path, folder: Path, *, flip: bool, commit: bool = True) -> Ran:
    """Copy the log, delete a commit record or an event of its busiest shard, or flip a bit of it, and verify it."""
    (folder / "hms").mkdir()
    path = folder / "hms" / "log.db"
    path.write_bytes((used / "hms" / "log.db").read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        position, key, value = _some_record(connection, commit=commit)
        connection.execute("DELETE FROM records WHERE position = ?", (position,))
        if flip:
            value = value[:40] + bytes([value[40] ^ 1]) + value[41:]
            connection.execute("INSERT INTO records VALUES (?, 1, ?, ?, CAST('' AS BLOB))", (position, key, value))
        connection.commit()
    return run(folder, "log", "verify", "-o", "json")


def _some_record(connection: sqlite3.Connection, *, commit: bool) -> tuple[int, bytes, bytes]:
    shards: dict[int, list[tuple[int, bytes, bytes]]] = defaultdict(list)
    events = (EVENTS_NUMBER << 56, (EVENTS_NUMBER + 1) << 56)
    select = "SELECT position, key, value FROM records WHERE position BETWEEN ? AND ? ORDER BY position"
    for row in connection.execute(select, events):
        if row[1].startswith(b"shard/") == commit:
            shards[row[0] >> 40].append(row)
    return max(shards.values(), key=len)[-2]


def test_a_whole_log_verifies_and_each_shard_says_what_was_checked(used: Path) -> None:
    ran = run(used, "log", "verify", "-o", "json")
    reports = json.loads(ran.out)
    assert ran.code == 0
    assert [report["finding"] for report in reports] == ["whole"] * 16
    assert all(report["commits"] >= 1 for report in reports)
    checked = ("reads_checked", "writes_checked")
    assert all(report[name] == report["commits"] for report in reports for name in checked)


def test_a_deleted_record_breaks_the_log_and_the_place_is_named(used: Path, tmp_path: Path) -> None:
    ran = tampered(used, tmp_path, flip=False)
    (broken,) = [report for report in json.loads(ran.out) if report["finding"] != "whole"]
    assert ran.code == 1
    assert {"partition", "offset", "expected", "got"} <= broken.keys()
    assert f"hms.events/{broken['partition']}@{broken['offset']}: expected {broken['expected']}" in ran.err


def test_a_changed_record_breaks_the_log(used: Path, tmp_path: Path) -> None:
    ran = tampered(used, tmp_path, flip=True)
    assert ran.code == 1
    assert sum(report["finding"] != "whole" for report in json.loads(ran.out)) == 1


@pytest.mark.parametrize("how", ["changed", "deleted"])
def test_an_event_changed_behind_its_commit_breaks_the_log(used: Path, tmp_path: Path, how: str) -> None:
    ran = tampered(used, tmp_path, flip=how == "changed", commit=False)
    (broken,) = [report for report in json.loads(ran.out) if report["finding"] != "whole"]
    assert (ran.code, broken["finding"]) == (1, "what it wrote was changed")


def test_schemas_are_listed_exported_and_checked_with_and_without_a_log(used: Path, tmp_path: Path) -> None:
    listed = json.loads(run(used, "schema", "list", "-o", "json").out)
    assert {"hms.Commit", "hms.SubmitTask"} <= {item["type"] for item in listed if item["in_log"]}
    without = run(tmp_path, "schema", "list", "-o", "json")
    assert without.code == 0
    assert "only what is built in" in without.err
    assert run(used, "schema", "check").code == 0
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.avsc").write_text("{}")
    assert run(used, "schema", "export", str(tmp_path / "out")).code == 0
    names = {path.stem for path in (tmp_path / "out").iterdir()}
    assert {"mine", "hms.Commit", "hms.SubmitTask", "hms.ComponentExited"} <= names


def test_a_schema_that_a_release_cannot_read_is_a_problem_and_exit_1(tmp_path: Path) -> None:
    for folder, kind in (("released/1.0.0", "string"), ("now", "long")):
        (tmp_path / folder).mkdir(parents=True)
        schema = {"type": "record", "name": "a.B", "fields": [{"name": "c", "type": kind}]}
        (tmp_path / folder / "a.B.avsc").write_text(json.dumps(schema))
    ran = run(tmp_path, "schema", "check", "--released", "released", "--current", "now", "-o", "json")
    assert ran.code == 1
    (problem,) = json.loads(ran.out)
    assert (problem["type"], problem["field"], problem["against"]) == ("a.B", ".c", "release 1.0.0")


def test_the_doctor_finds_dead_letters_and_nobody_at_work(used: Path) -> None:
    ran = run(used, "doctor", "-o", "json")
    found = {check["name"]: check for check in json.loads(ran.out)}
    assert ran.code == 0
    assert {"python", "sqlite", "clock", "disk", "fsync", "state folder", "log", "nodes", "actors"} <= found.keys()
    assert found["log"]["outcome"] == "ok"
    assert (found["nodes"]["outcome"], found["dead letters"]["outcome"]) == ("warn", "warn")
    assert "hms dead-letter list" in found["dead letters"]["todo"]


def test_the_doctor_fails_on_a_log_that_is_broken(used: Path, tmp_path: Path) -> None:
    tampered(used, tmp_path, flip=False)
    ran = run(tmp_path, "doctor", "-o", "json")
    assert ran.code == 1
    assert any(check["outcome"] == "fail" and "hms log verify" in check["todo"] for check in json.loads(ran.out))


def test_the_doctor_looks_at_folders_and_locks(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert state_folder(tmp_path).outcome == "warn"
    tmp_path.chmod(0o700)
    assert state_folder(tmp_path).outcome == "ok"
    assert state_folder(tmp_path / "none").outcome == "ok"
    assert nearest(tmp_path / "a" / "b") == tmp_path
    assert (disk(tmp_path).name, fsync(tmp_path).name) == ("disk", "fsync")
    for fleet, pid in (("alive", os.getpid()), ("dead", 4_194_304)):
        (tmp_path / "fleets" / fleet).mkdir(parents=True)
        (tmp_path / "fleets" / fleet / "agent.lock").write_text(f"{pid}\n")
    assert [(check.name, check.outcome) for check in agents(tmp_path)] == [
        ("agent of alive", "ok"),
        ("agent of dead", "warn"),
    ]


@pytest.fixture
def living(used: Path, tmp_path: Path) -> Iterator[Path]:
    """A state folder whose log nobody serves, though the process (this one) that does so is there."""
    shutil.copytree(used / "hms", tmp_path / "hms")
    (tmp_path / "hms/fleets/shop").mkdir(parents=True)
    (tmp_path / "hms/fleets/shop/agent.lock").write_text(f"{os.getpid()}\n")
    (tmp_path / "hms/log.db-bells").mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.bind(str(tmp_path / f"hms/log.db-bells/{os.getpid()}-0"))
        yield tmp_path


def test_the_doctor_fails_when_the_log_of_a_running_agent_is_gone(living: Path) -> None:
    for file in living.glob("hms/log.db*"):
        if file.is_file():
            file.unlink()
    ran = run(living, "doctor", "-o", "json")
    found = {check["name"]: check for check in json.loads(ran.out)}
    assert (ran.code, found["log"]["outcome"]) == (1, "fail")
    assert f"the log of a running agent is gone (process {os.getpid()})" in found["log"]["seen"]
    assert "put the file back, or stop it" in found["log"]["todo"]
    elsewhere = run(living, "doctor", "--log", "sqlite:other.db", "-o", "json")
    assert {check["name"]: check["outcome"] for check in json.loads(elsewhere.out)}["log"] == "warn"


def test_a_process_that_runs_but_has_lost_its_lease_is_not_called_absent(living: Path) -> None:
    lost = f"process {os.getpid()} runs but its lease has expired: is the disk full, or is it paused?"
    ran = run(living, "component", "stop", "web")
    assert (ran.code, ran.out) == (5, "")
    assert f"{lost} see `hms doctor`" in ran.err
    ran = run(living, "doctor", "-o", "json")
    nodes = {check["name"]: check for check in json.loads(ran.out)}["nodes"]
    assert (ran.code, nodes["outcome"]) == (1, "fail")
    assert lost in nodes["seen"]


def test_the_version_needs_no_codec_no_parser_and_no_time(tmp_path: Path) -> None:
    code = "import sys; from hms.console.cli import main; main(['--version']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    version, modules = done.stdout.splitlines()
    assert version == hms.__version__
    assert not {"pydantic", "fastavro", "cyclopts", "rich", "asyncio", "structlog"} & set(modules.split())
    assert run(tmp_path, "--version").out == f"{hms.__version__}\n"


def test_the_list_of_commands_imports_none_of_them(tmp_path: Path) -> None:
    code = "import sys; from hms.console.cli import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    for command in (
        "component",
        "supervisor",
        "task",
        "event",
        "dead-letter",
        "schema",
        "shard",
        "log",
        "doctor",
        "up",
        "node",
        "demo",
    ):
        assert f" {command} " in done.stdout
    assert not {"pydantic", "fastavro", "hms.console.up"} & set(done.stdout.splitlines()[-1].split())


def test_a_node_says_nothing_of_shards_before_it_has_some(tmp_path: Path) -> None:
    command = [HMS, "node", "--log", f"sqlite:{tmp_path / 'log.db'}", "-o", "jsonl"]
    node = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert node.stdout is not None
        assert json.loads(node.stdout.readline())["shards"] != []
        node.terminate()
        _, said = node.communicate(timeout=100)
    finally:
        node.kill()
    assert node.returncode == 0
    assert "drains" in said
