"""What an archive is trusted for, and what its policy says: pure rules."""

from pathlib import Path

import pytest

from hms.core.errors import ValidationFailed
from hms.core.log import LANES, NodeInfo
from hms.replay.archive.expiry import BY_SIZE, due
from hms.replay.archive.folder import Folder
from hms.replay.archive.manifest import ArchivedFile
from hms.replay.archive.policy import Policy, duration_us, read_policy, size_bytes
from hms.replay.archive.trust import Seen, judged


def nodes(*names: str) -> list[NodeInfo]:
    return [NodeInfo(name, frozenset(), 0, alive=True) for name in names]


def seen(token: str, *tokens: str, archive: str = "a", at_us: int = 0) -> Seen:
    return Seen(archive=archive, token=token, tokens=(token, *tokens), at_us=at_us)


@pytest.mark.parametrize(
    ("said", "now_us", "doubt"),
    [
        ({"one": seen("1", "2"), "two": seen("2", "1")}, 0, ""),
        ({"one": seen("1", "2"), "two": seen("2")}, 0, "node two does not see what node one wrote there"),
        ({"one": seen("1", "2"), "two": None}, 0, "node two does not archive there"),
        ({"one": seen("1", "2"), "two": seen("2", "1", archive="b")}, 0, "node two does not archive there"),
        ({"one": seen("1", "2"), "two": seen("2", "1")}, duration_us("31m"), "node one has not said for 31 minutes"),
    ],
)
def test_an_archive_is_trusted_when_each_node_sees_what_each_other_wrote(
    said: dict[str, Seen | None], now_us: int, doubt: str
) -> None:
    found = judged(nodes("one", "two"), said, "a", now_us)
    assert found.startswith(doubt) if doubt else found == ""


def test_durations_and_sizes_are_what_people_write() -> None:
    assert (duration_us("1.5h"), duration_us("2w")) == (5_400_000_000, 1_209_600_000_000)
    assert (size_bytes("20GB"), size_bytes("7")) == (20 * 10**9, 7)
    with pytest.raises(ValidationFailed, match="expected a duration such as 30d"):
        Policy(keep={"*": "soon"}).checked()
    with pytest.raises(ValidationFailed, match="expected a size such as 20GB"):
        Policy(disk_max="much").checked()


def test_a_word_in_a_policy_that_means_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text('{"log_keep": "7d"}')
    with pytest.raises(ValidationFailed, match=r"(?s)expected a policy, got .*log_keep"):
        read_policy(Folder(tmp_path))


def file_of(shard: int, at_us: int, size: int) -> ArchivedFile:
    return ArchivedFile(
        path=f"{shard}-{at_us}", type="counters.Add", topic=LANES[0], shard=shard, date="2026-01-01", first=0, next=1, rows=1,
        bytes=size, sha256="", appended_us_min=at_us, appended_us_max=at_us, schema_id=0,
    )  # fmt: skip


def test_a_disk_budget_is_for_all_shards_together_and_the_oldest_of_all_go_first() -> None:
    """One busy shard among idle ones may take all of it."""
    files = [file_of(0, at_us, 10) for at_us in range(0, 80, 2)] + [file_of(1, 3, 10), file_of(1, 99, 10)]
    assert due(files, Policy(disk_max="420"), 100, 0) == due(files, Policy(disk_max="420"), 100, 1) == {}
    gone = [due(files, Policy(disk_max="390"), 100, shard)[BY_SIZE] for shard in (0, 1)]
    assert [[file.path for file in some] for some in gone] == [["0-0", "0-2"], ["1-3"]]


def test_what_is_not_named_is_kept_as_the_star_says_and_else_for_ever() -> None:
    policy = Policy(keep={"hms.ComponentHeartbeat": "1d", "*": "2d"})
    assert policy.kept_us("hms.ComponentHeartbeat") == duration_us("1d")
    assert policy.kept_us("bank.Deposited") == duration_us("2d")
    assert Policy().kept_us("bank.Deposited") is None
    assert Policy(keep={"*": "forever"}).kept_us("bank.Deposited") is None
    assert Policy(log_kept="7d").log_kept_us() == duration_us("7d")
