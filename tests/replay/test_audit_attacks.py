"""Who can write the log, or stole a key, or controls a witness, still deceives nobody, and stops nobody."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hms.core.address import Address
from hms.core.client import connect
from hms.core.log.open import open_log
from hms.core.log.port import EVENTS, Log, Stored
from hms.core.log.sqlite.log import SqliteLog
from hms.core.runtime.commit_record import SHARD_KEY
from hms.replay.archive.archiver import Archiver
from hms.replay.archive.reader import Archive
from hms.replay.audit.commits import Commits, read_commits
from hms.replay.audit.errors import NotAProof
from hms.replay.audit.identity import SETTING, log_id
from hms.replay.audit.keys import KeyFolder, Signer
from hms.replay.audit.memory import memory_file
from hms.replay.audit.note import Checkpoint, origin_of, parse, signed
from hms.replay.audit.proof import Proof, check, read_proof
from hms.replay.audit.prove import prove
from hms.replay.audit.reading import Place, Reader
from hms.replay.audit.signing import sign_all
from hms.replay.audit.tree import Frontier
from hms.replay.audit.trust import Revocation, Trust
from hms.replay.audit.verify import UNANCHORED, Anchors, Result, verify
from hms.replay.history import History
from hms.replay.schemas import learn_schemas
from hms.schemas import Contract, partition_of
from hms.schemas.audit import RecordCheckpoint

from .signed_history import PARTITIONS, Made, busy, commits_at, copied, made_by, said, verified, work

NOW_US = 4_000_000_000_000_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made_by(tmp_path_factory.mktemp("made"))


def signer_in(folder: Path, name: str = "node-a") -> Signer:
    return KeyFolder(folder, name).signers()[0]


def changed(made: Made, path: Path, doing: Callable[[Log], Awaitable[None]], anchors: Anchors, **more: Any) -> Result:
    """Let somebody do something to a copy of the history, and verify it."""

    async def main() -> Result:
        log = await copied(made, path / "copy.db", 0, lambda records: records)
        try:
            await doing(log)
            return await verify(History(log), made.log, anchors, Reader(History(log)), **more)
        finally:
            await log.close()

    return asyncio.run(main())


async def forged(path: Path, made: Made, signer: Signer | None) -> None:
    """Write another history under the log's name."""
    log = await SqliteLog.open(path, partitions=PARTITIONS)
    await log.put_setting(SETTING, made.log, expected=None)

    async def sign() -> None:
        if signer is not None:
            await sign_all(log, History(log), [signer])

    await work(log, [f"other{number}" for number in range(30)], sign)
    await work(log, ["more"], sign)
    await log.close()


async def judged(path: Path, made: Made, anchors: Anchors, **more: Any) -> Result:
    log = await open_log(f"sqlite:{path}")
    try:
        return await verify(History(log), made.log, anchors, Reader(History(log)), **more)
    finally:
        await log.close()


async def tell(log: Log, shard: int, **fields: Any) -> None:
    """Send a checkpoint as anybody can."""
    async with connect(log, name="mallory") as client:
        message = RecordCheckpoint(
            **{"shard": shard, "size": 1, "position": 1, "frontier": (), "signers": (), "note": "", **fields}
        )
        await client.tell(Address[RecordCheckpoint](f"audit/shard-{fields.get('at', shard)}"), message, priority="low")


# --- anchors that are none -------------------------------------------------------------------------------------------


def test_a_history_written_anew_without_any_signature_is_not_what_the_trusted_keys_signed(
    made: Made, tmp_path: Path
) -> None:
    asyncio.run(forged(tmp_path / "forged.db", made, None))
    result = asyncio.run(judged(tmp_path / "forged.db", made, Anchors(Trust((made.signer.public,)))))
    assert "nobody who is trusted has signed any of it" in said(result)
    assert result.anchors == [UNANCHORED]


def test_a_later_beginning_skips_nothing_that_is_known_from_outside(made: Made, tmp_path: Path) -> None:
    """The key was stolen: everything in the forged log is signed as it should be."""
    asyncio.run(forged(tmp_path / "forged.db", made, made.signer))
    memory = verified(made, tmp_path, anchors=Anchors()).memory
    shard = busy(made)
    seen = memory.shards[shard].model_copy(update={"size": 3, "root": "7" * 64})
    note = parse(signed(Checkpoint(origin_of(made.log, shard), 3, b"\7" * 32, b"", datetime.now(UTC)), [made.signer]))
    for anchors in (Anchors(memory=memory.model_copy(update={"shards": {shard: seen}})), Anchors(against=[note])):
        result = asyncio.run(judged(tmp_path / "forged.db", made, anchors, since_us=NOW_US))
        assert "another history than" in said(result)


def test_a_later_beginning_reads_less_and_says_only_what_it_was_held_against(made: Made, tmp_path: Path) -> None:
    async def nothing(_log: Log) -> None:
        pass

    trusted = Anchors(Trust((made.signer.public,)))
    result = changed(made, tmp_path, nothing, trusted, since_us=NOW_US)
    assert (result.findings, result.anchors) == ([], ["trusted keys"])
    assert result.shards[busy(made)].first > 0


def test_a_later_beginning_behind_a_dropped_tail_is_not_taken(made: Made, tmp_path: Path) -> None:
    shard = next(number for number in range(PARTITIONS) if _home(number) != number)
    cut = [*made.records[EVENTS, shard][: commits_at(made.records[EVENTS, shard])[0] + 1]]

    async def main() -> Result:
        log = await copied(made, tmp_path / "cut.db", shard, lambda _: cut)
        result = await verify(
            History(log), made.log, Anchors(Trust((made.signer.public,))), Reader(History(log)), since_us=NOW_US
        )
        await log.close()
        return result

    assert "the end is missing" in said(asyncio.run(main()))


def _home(shard: int) -> int:
    return partition_of(f"audit/shard-{shard}", PARTITIONS)


def test_fewer_shards_than_were_verified_before_are_a_rollback(made: Made, tmp_path: Path) -> None:
    memory = verified(made, tmp_path, anchors=Anchors()).memory
    more = memory.model_copy(update={"shards": {**memory.shards, 7: memory.shards[0]}})
    (tmp_path / "again").mkdir()
    assert "had more shards" in said(verified(made, tmp_path / "again", anchors=Anchors(memory=more)))


def test_one_log_has_one_memory_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.db").symlink_to(tmp_path / "log.db")
    here = memory_file(tmp_path, "sqlite:log.db")
    assert here == memory_file(tmp_path, f"sqlite:{tmp_path}/log.db") == memory_file(tmp_path, "sqlite:./link.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert memory_file(tmp_path, "sqlite:log.db") != here


# --- keys ------------------------------------------------------------------------------------------------------------


def test_a_stolen_and_revoked_key_makes_no_other_key_known(made: Made, tmp_path: Path) -> None:
    """He signs something old and true with it, and with a key of his own."""
    mallory = signer_in(tmp_path / "keys", "mallory")
    old = made.notes[0]
    shard = int(old.checkpoint.origin[-1])
    key = made.signer.public
    revoked = Anchors(Trust((key,), (Revocation(key, None, old.checkpoint.size),)))
    later = parse(signed(max(made.notes, key=lambda note: note.checkpoint.size).checkpoint, [mallory]))

    async def attack(log: Log) -> None:
        for note, keys in (
            (signed(old.checkpoint, [made.signer, mallory]), [made.signer, mallory]),
            (later.whole, [mallory]),
        ):
            size = parse(note).checkpoint.size
            names = tuple(str(one.public) for one in keys)
            await tell(log, int(parse(note).checkpoint.origin[-1]), size=size, signers=names, note=note)

    result = changed(made, tmp_path, attack, revoked)
    assert shard in range(PARTITIONS)
    assert "signed by nobody who is trusted" in said(result)
    assert str(mallory.public) not in result.memory.keys


def test_a_node_never_signs_what_a_stranger_s_checkpoint_says_of_the_first_commits(made: Made, tmp_path: Path) -> None:
    mallory = signer_in(tmp_path / "keys", "mallory")
    shard = busy(made)
    right = next(note for note in reversed(made.notes) if note.checkpoint.origin.endswith(f"-{shard}")).checkpoint
    peaks = tuple(bytes([number]) * 32 for number in range(right.size.bit_count()))
    wrong = Checkpoint(right.origin, right.size, Frontier(right.size, peaks).root(), right.head, datetime.now(UTC))
    end = commits_at(made.records[EVENTS, shard])[right.size - 1] + 1

    async def attack(log: Log) -> None:
        await tell(
            log,
            shard,
            size=wrong.size,
            position=made.records[EVENTS, shard][end - 1].offset + 1,
            frontier=peaks,
            signers=(str(mallory.public),),
            note=signed(wrong, [mallory]),
        )
        await work(log, ["after"])
        await sign_all(log, History(log), [made.signer])
        await work(log, ["behind"])

    result = changed(made, tmp_path, attack, Anchors(Trust((made.signer.public,))))
    assert [one.what for one in result.findings] == ["signed by nobody who is trusted"] * len(result.findings)
    assert result.shards[shard].covered > right.size


def test_a_checkpoint_sent_again_with_a_wrong_place_stops_no_signing(made: Made, tmp_path: Path) -> None:
    shard = busy(made)
    mine = [note for note in made.notes if note.checkpoint.origin.endswith(f"-{shard}")][-1]
    key = str(made.signer.public)

    async def attack(log: Log) -> None:
        tree = Frontier()
        commits = Commits(shard)
        await read_commits(History(log), commits, 0, (await log.watermarks(EVENTS, shard)).stable)
        for hashed in list(commits.hashes())[: mine.checkpoint.size]:
            tree.append(hashed)
        frontier = tuple(tree.peaks)
        await tell(
            log, shard, size=mine.checkpoint.size, position=2, frontier=frontier, signers=(key,), note=mine.whole
        )
        await work(log, ["after"])
        assert len(await sign_all(log, History(log), [made.signer])) == PARTITIONS

    result = changed(made, tmp_path, attack, Anchors(Trust((made.signer.public,))), since_us=NOW_US)
    assert result.findings == []


@pytest.mark.parametrize(
    ("note", "fields"),
    [
        ("hms/x/shard-0\n1\nAAAA\nhead 00\nat 0001-01-01T00:00:00.000000+14:00\n\n— a AAAAAAAA\n", {}),
        ("junk", {}),
        ("", {"size": -5, "position": -5, "shard": 999}),
    ],
)
def test_junk_sent_as_a_checkpoint_is_named_and_breaks_nothing(
    made: Made, tmp_path: Path, note: str, fields: dict[str, Any]
) -> None:
    async def attack(log: Log) -> None:
        await tell(log, **{"shard": 0, "note": note, **fields})

    assert said(changed(made, tmp_path, attack, Anchors(Trust((made.signer.public,))))) != ""


def test_a_signed_checkpoint_of_a_shard_that_is_not_there_is_named(made: Made, tmp_path: Path) -> None:
    mallory = signer_in(tmp_path / "keys", "mallory")
    checkpoint = Checkpoint(origin_of(made.log, 999), 1, b"\7" * 32, b"\0" * 32, datetime.now(UTC))

    async def attack(log: Log) -> None:
        await tell(log, 999, signers=(str(mallory.public),), note=signed(checkpoint, [mallory]))

    assert "it is of a shard that is not there" in said(changed(made, tmp_path, attack, Anchors()))


def test_a_log_that_lost_its_name_does_not_take_it_from_junk(tmp_path: Path) -> None:
    mallory = signer_in(tmp_path / "keys", "mallory")
    nameless = Checkpoint("nothing", 1, b"\7" * 32, b"\0" * 32, datetime.now(UTC))

    async def main() -> str | None:
        log = await SqliteLog.open(tmp_path / "log.db", partitions=PARTITIONS)
        await tell(log, 0, signers=(str(mallory.public),), note=signed(nameless, [mallory]))
        await work(log, ["a"])
        found = await log_id(log, History(log))
        await log.close()
        return found

    assert asyncio.run(main()) is None


# --- records ---------------------------------------------------------------------------------------------------------


def test_a_bit_in_the_key_of_a_commit_record_is_found(made: Made, tmp_path: Path) -> None:
    shard = busy(made)
    index = commits_at(made.records[EVENTS, shard])[4]

    def change(records: list[Stored]) -> list[Stored]:
        return [*records[:index], records[index]._replace(key=SHARD_KEY + b"9"), *records[index + 1 :]]

    assert "the key of a commit record was changed" in said(verified(made, tmp_path, change, shard=shard))


def test_a_missing_commit_is_no_crash_for_who_knows_the_right_number(made: Made, tmp_path: Path) -> None:
    shard = busy(made)
    first, second = commits_at(made.records[EVENTS, shard])[2:4]
    memory = verified(made, tmp_path, anchors=Anchors()).memory
    (tmp_path / "missing").mkdir()
    anchors = Anchors(Trust((made.signer.public,)), against=made.notes, memory=memory)
    result = verified(
        made, tmp_path / "missing", lambda all_: [*all_[: first + 1], *all_[second + 1 :]], anchors, shard=shard
    )
    assert "commits are missing" in said(result)
    assert "another history than what was verified" in said(result)
    assert result.shards[shard].covered == 0


def test_processes_read_what_was_trimmed_from_the_archive_that_the_log_knows_of(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hms.replay.audit.reading.RECORDS_WORTH_A_PROCESS", 0)
    path = tmp_path / "log.db"

    async def main() -> Result:
        log = await copied(made, path, 0, lambda records: records)
        await (await Archiver.open(str(tmp_path / "archive"), log, owner="test")).run()
        for shard in range(PARTITIONS):
            await log.trim(EVENTS, shard, commits_at(made.records[EVENTS, shard])[3] + 1)
        history = History(log, await Archive.open(tmp_path / "archive"))
        reader = Reader(history, Place(f"sqlite:{path}", None), 2)
        result = await verify(history, made.log, Anchors(Trust((made.signer.public,))), reader)
        await log.close()
        return result

    assert asyncio.run(main()).findings == []


# --- proofs ----------------------------------------------------------------------------------------------------------


def proof_of(made: Made, path: Path, older: int | None = None) -> Proof:
    """Return the proof of an event under the first checkpoint of the busy shard, going on from checkpoint `older`."""

    async def main() -> Proof:
        log = await copied(made, path / "proof.db", 0, lambda records: records)
        shard = busy(made)
        event = next(one for one in made.records[EVENTS, shard] if not one.key.startswith(SHARD_KEY))
        contract = Contract()
        await learn_schemas(History(log), contract)
        mine = [note for note in made.notes if note.checkpoint.origin.endswith(f"-{shard}")]
        name = contract.envelope_of(event.value or b"").id
        proof = await prove(History(log), name, None if older is None else mine[older])
        await log.close()
        return proof

    return asyncio.run(main())


def test_a_proof_goes_on_from_the_newest_checkpoint_that_a_witness_has(made: Made, tmp_path: Path) -> None:
    sizes = [note.checkpoint.size for note in made.notes if note.checkpoint.origin.endswith(f"-{busy(made)}")]
    found = check(proof_of(made, tmp_path, older=-1), Trust((made.signer.public,)))
    assert found.older is not None
    assert found.older.checkpoint.size == sizes[-1] == found.note.checkpoint.size


def test_an_older_checkpoint_that_nobody_trusted_has_signed_is_none(made: Made, tmp_path: Path) -> None:
    proof = proof_of(made, tmp_path, older=0)
    trust = Trust((made.signer.public,))
    assert check(proof, trust).older is not None
    mallory = signer_in(tmp_path / "keys", "mallory")
    true = parse(str(proof.older)).checkpoint
    for older in (
        signed(true._replace(at=datetime(2020, 1, 1, tzinfo=UTC)), [mallory]),
        str(proof.older).replace("at 20", "at 19"),
    ):
        with pytest.raises(Exception, match="the older checkpoint is"):
            check(proof.model_copy(update={"older": older}), trust)


def test_a_proof_with_anything_changed_in_it_proves_nothing_else(made: Made, tmp_path: Path) -> None:
    """Every character of the file is changed once: the answer is an error that says so, or what it was."""
    proof = proof_of(made, tmp_path, older=0)
    trust = Trust((made.signer.public,))
    right = check(proof, trust)
    text = proof.model_dump_json()
    survived = 0
    for index in range(0, len(text), 7):
        other = "1" if text[index] != "1" else "2"
        try:
            found = check(read_proof(text[:index] + other + text[index + 1 :]), trust)
        except NotAProof:
            continue
        survived += 1
        assert (found.envelope, found.data, found.commit, found.shard) == (
            right.envelope,
            right.data,
            right.commit,
            right.shard,
        )
        assert found.signers == right.signers
    assert survived < len(text) / 7 / 20, "expected only names and places that nobody signs to change freely"
    for nonsense in ("\ud800", "[" * 100_000, "{}", "null"):
        with pytest.raises(Exception, match="expected a"):
            check(read_proof(nonsense if nonsense != "\ud800" else text.replace("head ", "head \\ud800")), trust)
