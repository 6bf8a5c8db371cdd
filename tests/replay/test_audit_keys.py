"""Keys, the duty that signs with them, and the witness that is told."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from hms.actors.app import hms_app
from hms.core.client import connect
from hms.core.log.port import EVENTS, Draft, Log
from hms.core.log.sqlite.log import SqliteLog
from hms.core.runtime.node import Node
from hms.replay.audit.errors import NotAProof
from hms.replay.audit.identity import log_id, make_log_id
from hms.replay.audit.keys import KeyFolder
from hms.replay.audit.memory import Memory
from hms.replay.audit.reading import Reader
from hms.replay.audit.signing import AuditDuty, Terms, sign_all
from hms.replay.audit.trust import Trust
from hms.replay.audit.verify import Anchors, verify
from hms.replay.audit.witness import notes_in, push
from hms.replay.history import History
from hms.schemas.task import CancelTask

from .signed_history import META, PARTITIONS, Made, checkpoint_count, copied, made_by, verified, work


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made_by(tmp_path_factory.mktemp("made"))


def test_keys_are_for_one_user_alone_and_a_new_one_is_introduced_by_the_one_before(tmp_path: Path) -> None:
    keys = KeyFolder(tmp_path / "audit" / "keys", "node-a")
    (first,) = keys.signers()
    assert keys.signers() == [first] or str(keys.signers()[0].public) == str(first.public)
    assert [file.stat().st_mode & 0o777 for file in keys.folder.iterdir()] == [0o600]
    assert keys.folder.stat().st_mode & 0o777 == 0o700
    second = keys.rotate()
    both = keys.signers()
    assert [str(one.public) for one in both] == [str(second.public), str(first.public)]

    async def main() -> None:
        log = await SqliteLog.open(tmp_path / "log.db", partitions=PARTITIONS)
        history = History(log)

        async def sign() -> None:
            await sign_all(log, history, both)
            assert keys.retire() == 1
            await sign_all(log, history, keys.signers())

        await work(log, ["a"], sign)
        name = str(await log_id(log))
        result = await verify(history, name, Anchors(Trust((first.public,))), Reader(history))
        assert result.findings == []
        assert set(result.memory.keys) == {str(first.public), str(second.public)}
        await log.close()

    asyncio.run(main())


def test_a_node_signs_what_its_shards_do_tells_the_witness_and_then_rests(tmp_path: Path) -> None:
    keys = KeyFolder(tmp_path / "keys", "node-a")
    witness = tmp_path / "witness.jsonl"

    async def main() -> None:
        log = await SqliteLog.open(tmp_path / "log.db", partitions=PARTITIONS)
        history = History(log)
        duty = AuditDuty(log, keys.signers, Terms(every_commits=5, every_ms=200, witness=str(witness)))
        async with Node(log, [hms_app], name="node", duties=[duty]) as node, connect(log, name="tester") as client:
            await node.wait_owning(PARTITIONS)
            for number in range(12):
                await client.ask(META, CancelTask(task_id=f"t{number}"))
            async with asyncio.timeout(60):
                while not await _is_covered(log, history, keys):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert node.statistics().failing_duties == ()
            signed_before = await checkpoint_count(log)
            await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=1.5)  # seven times `every_ms`
            assert await checkpoint_count(log) - signed_before <= PARTITIONS, "expected no signing for signing's sake"
        assert notes_in(witness.read_text(encoding="utf-8")) != []
        result = await verify(
            history, str(await log_id(log)), Anchors(against=notes_in(witness.read_text())), Reader(history)
        )
        assert result.findings == []
        await log.close()

    asyncio.run(main())


async def _is_covered(log: Log, history: History, keys: KeyFolder) -> bool:
    """Say whether checkpoints cover all but what keeps the last of them."""
    trust = Trust(tuple(one.public for one in keys.signers()))
    result = await verify(history, str(await log_id(log)), Anchors(trust), Reader(history))
    assert all("nobody who is trusted has signed any" in one.what for one in result.findings)
    return all(one.commits - one.covered <= 4 and one.covered > 0 for one in result.shards)


@contextmanager
def answering(taken: list[str], answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Serve a witness that answers like that; yield its URL."""

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["content-length"])).decode())
            answer(self)

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Taker)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/checkpoints"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_witness_may_be_a_url(made: Made) -> None:
    taken: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200 if len(taken) == 1 else 503)
        request.end_headers()

    with answering(taken, answer) as url:
        push(url, made.notes[0].whole)
        with pytest.raises(OSError, match="got 503"):
            push(url, made.notes[1].whole)
    assert taken == [made.notes[0].whole, made.notes[1].whole]


def test_a_witness_that_sends_one_elsewhere_or_talks_nonsense_was_not_told(made: Made) -> None:
    def elsewhere(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("location", "/elsewhere")
        request.end_headers()

    with answering([], elsewhere) as url, pytest.raises(OSError, match="expected an answer of 200, got 302"):
        push(url, made.notes[0].whole)
    with (
        answering([], lambda request: request.wfile.write(b"nonsense\r\n\r\n") and None) as url,
        pytest.raises(OSError, match="expected an answer as HTTP has them"),
    ):
        push(url, made.notes[0].whole)
    with pytest.raises(OSError, match="expected an answer as HTTP has them"):
        push("http://127.0.0.1:port/", made.notes[0].whole)
    with pytest.raises(OSError, match=r"http://127\.0\.0\.1:1/"):
        push("http://127.0.0.1:1/", made.notes[0].whole)


def test_a_line_that_was_cut_short_in_a_witness_s_file_spoils_no_other_and_is_named(made: Made, tmp_path: Path) -> None:
    witness = tmp_path / "witness.jsonl"
    push(str(witness), made.notes[0].whole)
    cut = witness.read_bytes()[:-20]
    witness.write_bytes(cut)
    push(f"file:{witness}", made.notes[1].whole)
    with pytest.raises(NotAProof, match="line 1: expected what a witness was told"):
        notes_in(witness.read_text(encoding="utf-8"))
    assert notes_in(witness.read_text(encoding="utf-8").split("\n", 1)[1]) == [made.notes[1]]


def test_a_key_that_others_can_read_signs_nothing(tmp_path: Path) -> None:
    keys = KeyFolder(tmp_path / "keys", "node-a")
    keys.signers()
    (file,) = keys.folder.iterdir()
    file.chmod(0o640)
    with pytest.raises(NotAProof, match="got mode 0640"):
        keys.signers()


def test_a_key_signs_until_it_is_retired_however_many_are_newer(tmp_path: Path) -> None:
    keys = KeyFolder(tmp_path / "keys", "node-a")
    made = [keys.rotate() for _ in range(3)]
    assert [one.public for one in keys.signers()] == [one.public for one in reversed(made)]
    assert keys.retire() == 2
    assert [one.public for one in keys.signers()] == [made[-1].public]


def test_a_witness_that_was_away_is_told_by_the_next_node_even_if_nothing_happens_any_more(
    made: Made, tmp_path: Path
) -> None:
    """The node that signed has died before it could tell."""
    keys = KeyFolder(tmp_path / "keys", "node-a")
    witness = tmp_path / "witness.jsonl"

    async def main() -> None:
        log = await copied(made, tmp_path / "log.db", 0, lambda records: records)
        notes = await sign_all(log, History(log), keys.signers())
        await work(log, ["a"])
        duty = AuditDuty(log, keys.signers, Terms(witness=str(witness)))
        following = asyncio.ensure_future(duty.follow(0, 1))
        async with asyncio.timeout(60):
            while not witness.exists() or not witness.read_text().endswith("\n"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        assert [one.whole for one in notes_in(witness.read_text())] == notes[:1]
        await log.close()

    asyncio.run(main())


def test_what_is_remembered_is_json_that_people_can_read(made: Made, tmp_path: Path) -> None:
    memory = verified(made, tmp_path, anchors=Anchors()).memory
    assert Memory.model_validate(json.loads(memory.model_dump_json())) == memory


def test_a_log_that_lost_its_settings_is_called_what_its_checkpoints_call_it(made: Made, tmp_path: Path) -> None:
    async def main() -> tuple[str | None, str, str]:
        bare = await SqliteLog.open(tmp_path / "bare.db", partitions=PARTITIONS)
        for place, records in made.records.items():
            await bare.append([Draft(*place, one.key, one.value) for one in records])
        found = await log_id(bare, History(bare)), await make_log_id(bare, History(bare)), str(await log_id(bare))
        await bare.close()
        return found

    assert asyncio.run(main()) == (made.log, made.log, made.log)


def test_checkpoints_that_no_node_has_handled_yet_name_a_log_too(made: Made, tmp_path: Path) -> None:
    """Signed, archived and restored before any node ran again."""

    async def main() -> str | None:
        bare = await SqliteLog.open(tmp_path / "bare.db", partitions=PARTITIONS)
        for place, records in made.records.items():
            await bare.append([Draft(*place, one.key, one.value) for one in records if place[0] != EVENTS])
        found = await log_id(bare, History(bare))
        await bare.close()
        return found

    assert asyncio.run(main()) == made.log
