"""`hms audit` as people run it: yesterday's log, proofs that travel, keys."""

import asyncio
import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hms.actors.app import hms_app
from hms.core.address import Address
from hms.core.client import connect
from hms.core.log.open import open_log
from hms.core.runtime.node import Node
from hms.schemas.task import CancelTask

from ..command import HMS, Ran


class Desk:
    """A folder with a log and a state folder, and what is run there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log.db"

    def hms(self, *arguments: str, log: str = "log.db") -> Ran:
        environment = {
            **os.environ,
            "XDG_STATE_HOME": str(self.folder / "state"),
            "HMS_LOG": f"sqlite:{self.folder / log}",
        }
        done = subprocess.run(
            [*HMS, *arguments],
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def work(self, *ids: str) -> None:
        asyncio.run(self._work(ids))

    async def _work(self, ids: tuple[str, ...]) -> None:
        log = await open_log(f"sqlite:{self.log}")
        async with Node(log, [hms_app], name="node"), connect(log, name="anna") as client:
            for one in ids:
                await client.ask(Address[Any]("meta_supervisor/main"), CancelTask(task_id=one))
        await log.close()

    def copy(self, name: str) -> None:
        for suffix in ("", "-wal", "-shm"):
            source = Path(f"{self.log}{suffix}")
            if source.exists():
                shutil.copyfile(source, self.folder / f"{name}{suffix}")

    def bring_back(self, name: str) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.log}{suffix}").unlink(missing_ok=True)
            if (self.folder / f"{name}{suffix}").exists():
                shutil.copyfile(self.folder / f"{name}{suffix}", f"{self.log}{suffix}")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_yesterday_s_log_brought_back_is_a_rollback(desk: Desk) -> None:
    desk.work("a", "b")
    assert desk.hms("audit", "sign", "--witness", "outside.jsonl").code == 0
    desk.copy("yesterday.db")
    desk.work("c", "d")
    first = desk.hms("audit", "verify")
    assert (first.code, "unanchored" in first.err) == (0, True)
    again = desk.hms("audit", "verify")
    assert "anchored by what was verified before" in again.err
    assert desk.hms("audit", "sign", "--witness", "outside.jsonl").code == 0
    desk.bring_back("yesterday.db")
    found = desk.hms("audit", "verify", "-o", "json")
    assert found.code == 1
    assert "rolled back: the log has less than what was verified at" in found.json["findings"][0]["what"]
    told = desk.hms("audit", "verify", "--forget", "--against", "outside.jsonl", "-o", "json")
    assert told.code == 1
    assert "rolled back: the log has less than the checkpoint from outside" in told.json["findings"][0]["what"]


def test_a_proof_travels_without_the_log_and_holds_for_nothing_else(desk: Desk) -> None:
    desk.work("a", "b")
    desk.hms("audit", "sign", "--witness", "before.jsonl")
    desk.work("c")
    query = "SELECT envelope.id FROM cancellation_kept WHERE task_id = 'a'"
    event = desk.hms("sql", query, "-o", "json").json[0]["id"]
    early = desk.hms("audit", "prove", desk.hms("sql", query.replace("'a'", "'c'"), "-o", "json").json[0]["id"])
    assert early.code == 1
    assert "no checkpoint covers commit" in early.err
    desk.hms("audit", "sign")
    (desk.folder / "trusted.keys").write_text(desk.hms("audit", "key", "show").out)
    made = desk.hms("audit", "prove", event, "--older", "before.jsonl")
    assert made.code == 0, made.err
    proof = desk.folder / "proof.json"
    proof.write_text(made.out)
    assert len(made.out) < 10_000
    checked = desk.hms("audit", "check", str(proof), "--trust", "trusted.keys", "-o", "json", log="no-log.db")
    assert checked.code == 0, checked.err
    assert checked.json["data"]["task_id"] == "a"
    assert checked.json["envelope"]["id"] == event
    assert checked.json["anchored"] is True
    assert checked.json["older_size"] <= checked.json["size"]
    kept = desk.hms("audit", "check", str(proof), "--against", "before.jsonl", log="no-log.db")
    assert kept.code == 0, kept.err
    desk.hms("audit", "sign", "--witness", "after.jsonl")
    other = desk.hms("audit", "check", str(proof), "--against", "after.jsonl", log="no-log.db")
    assert (other.code, "proves nothing about a checkpoint in after.jsonl" in other.err) == (1, True)
    for field in ("value", "commit", "events_root"):
        changed = json.loads(made.out)
        data = bytearray(base64.b64decode(changed[field]))
        data[-3] ^= 1
        proof.write_text(json.dumps({**changed, field: base64.b64encode(bytes(data)).decode()}))
        wrong = desk.hms("audit", "check", str(proof), "--trust", "trusted.keys", log="no-log.db")
        assert wrong.code == 1, field
        assert "does not hold" in wrong.err
    assert desk.hms("audit", "prove", "0" * 32).code == 3


def test_the_trail_says_what_when_where_who_and_the_outcome(desk: Desk) -> None:
    desk.work("a")
    items = [json.loads(line) for line in desk.hms("audit", "export").out.splitlines()]
    (asked,) = [item for item in items if item["what"] == "hms.CancelTask"]
    assert asked["who"] == "client/anna"
    assert asked["where"]["actor"] == "meta_supervisor/main"
    assert asked["outcome"] == "decided"
    assert [event["type"] for event in asked["events"]] == ["hms.CancellationKept"]
    assert asked["when"].endswith("Z")
    assert desk.hms("audit", "export", "--until", "2020-01-01").out == ""


def test_what_cannot_be_read_as_a_key_a_checkpoint_or_a_proof_says_what_was_expected(desk: Desk) -> None:
    desk.work("a")
    (desk.folder / "junk").write_text("junk\n")
    assert "expected a key as NAME+ID+BASE64" in desk.hms("audit", "verify", "--trust", "junk").err
    assert "expected a signed checkpoint" in desk.hms("audit", "verify", "--against", "junk").err
    assert "expected a proof" in desk.hms("audit", "check", "junk").err
    (desk.folder / "trusted.keys").write_text(desk.hms("audit", "key", "show").out)
    refused = desk.hms("audit", "key", "revoke", "nobody", "--trust", "trusted.keys", "--from", "1")
    assert (refused.code, "expected one key 'nobody'" in refused.err) == (3, True)
    trusted = (desk.folder / "trusted.keys").read_text()
    assert desk.hms("audit", "key", "revoke", trusted.strip(), "--trust", "trusted.keys", "--from", "-1").code == 2
    assert (desk.folder / "trusted.keys").read_text() == trusted
    (desk.folder / "junk").write_bytes(b"\xff\xfe")
    binary = desk.hms("audit", "check", "junk")
    assert (binary.code, "a bug" in binary.err) == (1, False)
