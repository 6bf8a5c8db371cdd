"""Everything that can be done to a log, or to its checkpoints, is found, and called what it is."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from hms.core.log.open import open_log
from hms.core.log.port import EVENTS, Stored
from hms.core.log.sqlite.log import SqliteLog
from hms.core.runtime.commit_record import SHARD_KEY
from hms.replay.audit.identity import SETTING
from hms.replay.audit.keys import KeyFolder
from hms.replay.audit.memory import memory_file, recall, remember
from hms.replay.audit.note import parse, signed
from hms.replay.audit.reading import Place, Reader
from hms.replay.audit.signing import sign_all
from hms.replay.audit.trust import Revocation, Trust, parse_trust
from hms.replay.audit.verify import UNANCHORED, Anchors, Result, verify
from hms.replay.audit.witness import notes_in, push
from hms.replay.history import History
from hms.schemas import Contract, partition_of
from hms.schemas.audit import CheckpointRecorded

from .signed_history import PARTITIONS, Change, Made, busy, commits_at, copied, flipped, made_by, said, verified, work


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made_by(tmp_path_factory.mktemp("made"))


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
