"""Everything that can be done to a log, or to its checkpoints, is found, and called what it is."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest

from hms.actors.app import hms_app
from hms.core.address import Address
from hms.core.client import connect
from hms.core.log.open import open_log
from hms.core.log.port import CHECKPOINTS, EVENTS, TOPICS, Draft, Log, Stored
from hms.core.log.sqlite.log import SqliteLog
from hms.core.runtime.commit_record import SHARD_KEY
from hms.core.runtime.node import Node
from hms.replay.audit.identity import SETTING, log_id
from hms.replay.audit.keys import KeyFolder, Signer
from hms.replay.audit.memory import Memory, memory_file, recall, remember
from hms.replay.audit.note import Note, parse, signed
from hms.replay.audit.reading import Place, Reader
from hms.replay.audit.signing import AuditDuty, Terms, sign_all
from hms.replay.audit.trust import Revocation, Trust, parse_trust
from hms.replay.audit.verify import UNANCHORED, Anchors, Result, verify
from hms.replay.audit.witness import notes_in, push
from hms.replay.history import History
from hms.schemas import Contract, partition_of
from hms.schemas.audit import CheckpointRecorded
from hms.schemas.task import CancelTask

PARTITIONS = 2
META: Address[Any] = Address("meta_supervisor/main")
Change = Callable[[list[Stored]], list[Stored]]


class Made(NamedTuple):
    """A signed history: every record by place, the log's id, the key that signed, and all notes."""

    records: dict[tuple[str, int], list[Stored]]
    log: str
    signer: Signer
    notes: tuple[Note, ...]


async def work(log: Log, ids: list[str], after: Callable[[], Awaitable[Any]] | None = None) -> None:
    async with Node(log, [hms_app], name="node") as node, connect(log, name="tester") as client:
        await node.wait_owning(PARTITIONS)
        for one in ids:
            await client.ask(META, CancelTask(task_id=one))
        if after is not None:
            await after()


async def checkpoint_count(log: Log) -> int:
    """Return how many checkpoints are events."""
    found = 0
    for shard in range(PARTITIONS):
        records = (await log.read(EVENTS, shard, 0, records_max=10_000)).records
        found += sum(stored.key.startswith(b"audit/") for stored in records)
    return found


async def wait_recorded(log: Log, count: int) -> None:
    while await checkpoint_count(log) < count:  # noqa: ASYNC110 - of a log, not of this process
        await asyncio.sleep(0.01)


async def make(path: Path, signer: Signer) -> Made:
    log = await SqliteLog.open(path, partitions=PARTITIONS)
    notes: list[str] = []

    async def sign() -> None:
        notes.extend(await sign_all(log, History(log), [signer]))
        await asyncio.wait_for(wait_recorded(log, len(notes)), 20)

    await work(log, [f"a{number}" for number in range(10)], sign)
    await work(log, [f"b{number}" for number in range(10)], sign)
    history = History(log)
    records: dict[tuple[str, int], list[Stored]] = {}
    for topic in TOPICS:
        for shard in range(1 if topic == TOPICS[-1] else PARTITIONS):
            marks = await log.watermarks(topic, shard)
            if topic != CHECKPOINTS:
                found = [one async for some in history.records(topic, shard, 0, marks.stable) for one in some]
                records[topic, shard] = found
    name = str(await log_id(log))
    await log.close()
    return Made(records, name, signer, tuple(map(parse, notes)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    (signer,) = KeyFolder(folder / "keys", "node-a").signers()
    return asyncio.run(make(folder / "log.db", signer))


async def copied(made: Made, path: Path, shard: int, change: Change, name: str | None = None) -> Log:
    """Write the history anew, one shard's events changed."""
    log = await SqliteLog.open(path, partitions=PARTITIONS)
    for (topic, partition), records in made.records.items():
        kept = change(records) if (topic, partition) == (EVENTS, shard) else records
        await log.append([Draft(topic, partition, one.key, one.value, one.headers) for one in kept])
    await log.put_setting(SETTING, name or made.log, expected=None)
    return log


def same(records: list[Stored]) -> list[Stored]:
    return records


def verified(made: Made, path: Path, change: Change = same, anchors: Anchors | None = None, shard: int = 0) -> Result:
    async def main() -> Result:
        log = await copied(made, path / "copy.db", shard, change)
        try:
            history = History(log)
            given = anchors or Anchors(Trust((made.signer.public,)))
            return await verify(history, made.log, given, Reader(history))
        finally:
            await log.close()

    return asyncio.run(main())


def said(result: Result) -> str:
    return "\n".join(map(str, result.findings))


def busy(made: Made) -> int:
    """Return the shard that did the work."""
    return max(range(PARTITIONS), key=lambda shard: len(made.records[EVENTS, shard]))


def commits_at(records: list[Stored]) -> list[int]:
    return [index for index, stored in enumerate(records) if stored.key.startswith(SHARD_KEY)]


def flipped(stored: Stored, at: int = -20) -> Stored:
    value = bytearray(stored.value or b"")
    value[at] ^= 1
    return stored._replace(value=bytes(value))


# --- what is right ---------------------------------------------------------------------------------------------------


def test_a_history_that_nobody_touched_holds_and_is_anchored_by_the_trusted_key(made: Made, tmp_path: Path) -> None:
    result = verified(made, tmp_path)
    assert result.findings == []
    assert result.anchors == ["trusted keys"]
    one = result.shards[busy(made)]
    assert one.checkpoints == 2
    assert 0 < one.covered <= one.commits
    assert one.records == len(made.records[EVENTS, busy(made)])


def test_without_an_anchor_it_says_unanchored(made: Made, tmp_path: Path) -> None:
    result = verified(made, tmp_path, anchors=Anchors())
    assert result.findings == []
    assert result.anchors == [UNANCHORED]


def test_the_checkpoints_of_a_witness_are_an_anchor(made: Made, tmp_path: Path) -> None:
    witness = tmp_path / "witness.jsonl"
    for note in made.notes:
        push(f"file:{witness}", note.whole)
    notes = notes_in(witness.read_text(encoding="utf-8"))
    assert notes == list(made.notes)
    result = verified(made, tmp_path, anchors=Anchors(against=notes))
    assert (result.findings, result.anchors) == ([], ["a checkpoint from outside"])


def test_several_processes_find_what_one_finds(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hms.replay.audit.reading.RECORDS_WORTH_A_PROCESS", 0)
    path = tmp_path / "copy.db"

    async def main() -> tuple[Result, Result]:
        log = await copied(made, path, busy(made), lambda records: [*records[:5], flipped(records[5]), *records[6:]])
        history = History(log)
        anchors = Anchors(Trust((made.signer.public,)))
        alone = await verify(history, made.log, anchors, Reader(history))
        together = await verify(history, made.log, anchors, Reader(history, Place(f"sqlite:{path}", None), 2))
        await log.close()
        return alone, together

    alone, together = asyncio.run(main())
    assert alone.findings == together.findings != []
    assert alone.shards == together.shards


# --- what is done to records -----------------------------------------------------------------------------------------


def test_a_flipped_bit_in_any_record_that_a_checkpoint_covers_is_found(made: Made, tmp_path: Path) -> None:
    shard = busy(made)
    records = made.records[EVENTS, shard]
    covered = commits_at(records)[
        : max(note.checkpoint.size for note in made.notes if note.checkpoint.origin.endswith(f"-{shard}"))
    ]
    for index in range(0, covered[-1] + 1, 3):
        folder = tmp_path / str(index)
        folder.mkdir()
        changed = [flipped(one) if number == index else one for number, one in enumerate(records)]
        result = verified(made, folder, lambda _, changed=changed: changed, shard=shard)  # type: ignore[misc]
        what = said(result)
        is_commit = records[index].key.startswith(SHARD_KEY)
        assert "changed" in what, f"record {index} of {len(records)}"
        assert not is_commit or "chain of commits is broken" in what or index == covered[-1]


def test_a_bit_in_the_key_of_an_event_is_found(made: Made, tmp_path: Path) -> None:
    shard = busy(made)
    index = next(number for number, one in enumerate(made.records[EVENTS, shard]) if not one.key.startswith(SHARD_KEY))

    def change(records: list[Stored]) -> list[Stored]:
        return [*records[:index], records[index]._replace(key=b"component/else"), *records[index + 1 :]]

    assert "not what was signed" in said(verified(made, tmp_path, change, shard=shard))


def test_a_dropped_tail_is_found(made: Made, tmp_path: Path) -> None:
    shard = busy(made)
    end = commits_at(made.records[EVENTS, shard])[3] + 1
    result = verified(made, tmp_path, lambda records: records[:end], Anchors(against=made.notes), shard=shard)
    assert "rolled back: the log has less than the checkpoint from outside" in said(result)


def test_a_dropped_tail_whose_checkpoints_are_elsewhere_in_the_log_is_found(made: Made, tmp_path: Path) -> None:
    """Checkpoints of one shard live on another one, as often as not."""
    homes = [shard for shard in range(PARTITIONS) if any(b"audit/" in one.key for one in made.records[EVENTS, shard])]
    shard = next(
        number for number in range(PARTITIONS) if any(_trails(made, home, number) for home in homes if home != number)
    )
    result = verified(made, tmp_path, lambda records: records[: commits_at(records)[0] + 1], shard=shard)
    assert "the end is missing" in said(result)


def _trails(made: Made, home: int, shard: int) -> bool:
    return any(one.key == b"audit/shard-%d" % shard for one in made.records[EVENTS, home])


def test_reordered_and_doubled_and_missing_commits_are_found(made: Made, tmp_path: Path) -> None:
    shard = busy(made)
    records = made.records[EVENTS, shard]
    first, second, third = commits_at(records)[2:5]
    one, two = records[first + 1 : second + 1], records[second + 1 : third + 1]
    changes = {
        "reordered": [*records[: first + 1], *two, *one, *records[third + 1 :]],
        "doubled": [*records[: second + 1], *one, *records[second + 1 :]],
        "missing": [*records[: first + 1], *records[second + 1 :]],
    }
    found = {}
    for name, changed in changes.items():
        (tmp_path / name).mkdir()
        found[name] = said(verified(made, tmp_path / name, lambda _, changed=changed: changed, shard=shard))  # type: ignore[misc]
    assert "commits are missing" in found["reordered"]
    assert "a commit is there twice" in found["doubled"]
    assert "commits are missing" in found["missing"]


# --- what is done to the whole log -----------------------------------------------------------------------------------


def test_yesterday_s_log_is_told_by_what_was_verified_today(made: Made, tmp_path: Path) -> None:
    today = verified(made, tmp_path, anchors=Anchors()).memory
    path = memory_file(tmp_path / "audit", "sqlite:log.db")
    assert recall(path) is None
    remember(path, today)
    assert recall(path) == today
    (tmp_path / "yesterday").mkdir()
    shard = busy(made)
    end = commits_at(made.records[EVENTS, shard])[5] + 1
    result = verified(
        made, tmp_path / "yesterday", lambda records: records[:end], Anchors(memory=recall(path)), shard=shard
    )
    assert "rolled back: the log has less than what was verified at" in said(result)


def test_a_history_written_anew_with_another_key_is_told_by_each_anchor(made: Made, tmp_path: Path) -> None:
    (other,) = KeyFolder(tmp_path / "keys", "node-a").signers()

    async def forge() -> None:
        log = await SqliteLog.open(tmp_path / "forged.db", partitions=PARTITIONS)
        await log.put_setting(SETTING, made.log, expected=None)

        async def sign() -> None:
            await sign_all(log, History(log), [other])

        await work(log, [f"other{number}" for number in range(30)], sign)
        await log.close()

    asyncio.run(forge())
    memory = verified(made, tmp_path, anchors=Anchors()).memory

    async def judged(anchors: Anchors) -> Result:
        log = await open_log(f"sqlite:{tmp_path / 'forged.db'}")
        history = History(log)
        result = await verify(history, made.log, anchors, Reader(history))
        await log.close()
        return result

    assert asyncio.run(judged(Anchors())).findings == []  # it fits together: that is what anchors are for
    assert "signed by nobody who is trusted" in said(asyncio.run(judged(Anchors(Trust((made.signer.public,))))))
    assert "another history than the checkpoint from outside" in said(asyncio.run(judged(Anchors(against=made.notes))))
    remembered = said(asyncio.run(judged(Anchors(memory=memory))))
    assert "another history than what was verified" in remembered
    assert "signed by nobody who is trusted" in remembered


def test_a_log_of_another_name_is_not_the_one_that_was_verified(made: Made, tmp_path: Path) -> None:
    memory = verified(made, tmp_path, anchors=Anchors()).memory

    async def main() -> Result:
        log = await open_log(f"sqlite:{tmp_path / 'copy.db'}")
        history = History(log)
        found = await verify(history, "0123", Anchors(against=made.notes[:1], memory=memory), Reader(history))
        await log.close()
        return found

    what = said(asyncio.run(main()))
    assert "it was replaced" in what
    assert "the checkpoint from outside is of another log" in what
    assert "it is another shard's or another log's" in what


# --- what is done to checkpoints -------------------------------------------------------------------------------------


def recorded_as(made: Made, shard: int, change: Callable[[CheckpointRecorded], CheckpointRecorded]) -> Change:
    """Change the checkpoints among a shard's events."""
    contract = Contract()
    kind = contract.register(CheckpointRecorded, "hms.CheckpointRecorded")

    def changed(records: list[Stored]) -> list[Stored]:
        return [
            one._replace(value=kind.encode(change(kind.decode(one.value or b"")[1]), kind.decode(one.value or b"")[0]))
            if (one.value or b"").startswith(kind.frame)
            else one
            for one in records
        ]

    assert changed(made.records[EVENTS, shard]) != []
    return changed


def home_of_checkpoints(made: Made) -> int:
    return max(
        range(PARTITIONS), key=lambda shard: sum(one.key.startswith(b"audit/") for one in made.records[EVENTS, shard])
    )


def test_a_checkpoint_that_says_something_else_than_was_signed_is_forged(made: Made, tmp_path: Path) -> None:
    shard = home_of_checkpoints(made)

    def change(record: CheckpointRecorded) -> CheckpointRecorded:
        text = record.note.replace(f"\n{record.size}\n", f"\n{record.size - 1}\n", 1)
        return record.model_copy(update={"note": text, "size": record.size - 1})

    assert "the signature does not fit what is signed" in said(
        verified(made, tmp_path, recorded_as(made, shard, change), shard=shard)
    )


def test_two_shards_signatures_that_were_swapped_are_found(made: Made, tmp_path: Path) -> None:
    shard = home_of_checkpoints(made)
    lines = {note.checkpoint.origin[-1]: note.whole.rpartition("\n\n")[2] for note in made.notes}
    assert len(lines) == 2, "expected checkpoints of two shards"

    def signature(record: CheckpointRecorded) -> CheckpointRecorded:
        text = record.note.rpartition("\n\n")[0]
        return record.model_copy(update={"note": f"{text}\n\n{lines[str(1 - record.shard)]}"})

    def whole(record: CheckpointRecorded) -> CheckpointRecorded:
        other = next(note for note in made.notes if note.checkpoint.origin.endswith(f"-{1 - record.shard}"))
        return record.model_copy(update={"note": other.whole, "size": other.checkpoint.size})

    for name, change, what in (
        ("signature", signature, "the signature does not fit what is signed"),
        ("whole", whole, "it is another shard's or another log's"),
    ):
        (tmp_path / name).mkdir()
        assert what in said(verified(made, tmp_path / name, recorded_as(made, shard, change), shard=shard))


def test_what_a_revoked_key_signed_from_then_on_counts_no_longer(made: Made, tmp_path: Path) -> None:
    key = made.signer.public
    sizes = sorted(note.checkpoint.size for note in made.notes if note.checkpoint.origin.endswith(f"-{busy(made)}"))
    revoked = Trust((key,), (Revocation(key, busy(made), sizes[0]),))
    result = verified(made, tmp_path, anchors=Anchors(revoked))
    assert [one.what for one in result.findings] == ["signed with a revoked key"]
    assert result.shards[busy(made)].covered == sizes[0]
    text = f"# mine\n{key} revoked-from={busy(made)}:{sizes[0]}\n"
    assert parse_trust(text) == revoked


def test_two_checkpoints_of_one_size_with_two_roots_are_a_fork(made: Made, tmp_path: Path) -> None:
    note = made.notes[0]
    shard = int(note.checkpoint.origin[-1])
    forged = parse(signed(note.checkpoint._replace(root=b"\7" * 32), [made.signer]))
    anchors = Anchors(Trust((made.signer.public,)), against=[forged])
    assert "a fork: the log has another history" in said(verified(made, tmp_path, anchors=anchors))
    home = partition_of(f"audit/shard-{shard}", PARTITIONS)

    def change(record: CheckpointRecorded) -> CheckpointRecorded:
        is_same = record.shard == shard and record.size > note.checkpoint.size
        return record.model_copy(update={"note": forged.whole, "size": forged.checkpoint.size}) if is_same else record

    (tmp_path / "inside").mkdir()
    result = verified(made, tmp_path / "inside", recorded_as(made, home, change), shard=home)
    assert "two histories were signed: a fork" in said(result)


def test_a_checkpoint_from_outside_that_nobody_trusted_has_signed_proves_nothing(made: Made, tmp_path: Path) -> None:
    (other,) = KeyFolder(tmp_path / "keys", "stranger").signers()
    note = parse(signed(made.notes[0].checkpoint, [other]))
    result = verified(made, tmp_path, anchors=Anchors(Trust((made.signer.public,)), against=[note]))
    assert "signed by nobody who is trusted" in said(result)


# --- keys and the duty -----------------------------------------------------------------------------------------------


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
            async with asyncio.timeout(20):
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
    assert result.findings == []
    return all(one.commits - one.covered <= 4 and one.covered > 0 for one in result.shards)


def test_a_witness_may_be_a_url(made: Made) -> None:
    taken: list[str] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["content-length"])).decode())
            self.send_response(200 if len(taken) == 1 else 503)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Taker)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/checkpoints"
        push(url, made.notes[0].whole)
        with pytest.raises(OSError, match="got 503"):
            push(url, made.notes[1].whole)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert taken == [made.notes[0].whole, made.notes[1].whole]


def test_what_is_remembered_is_json_that_people_can_read(made: Made, tmp_path: Path) -> None:
    memory = verified(made, tmp_path, anchors=Anchors()).memory
    assert Memory.model_validate(json.loads(memory.model_dump_json())) == memory
