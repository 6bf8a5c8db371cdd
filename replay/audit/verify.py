"""Is the history the one that was signed, pushed to a witness, and verified before? Every answer that is no is named."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from ...core.log.port import LANES
from ...core.runtime.commit_record import commit_summary
from ...core.runtime.records import Commit
from ...schemas import Contract
from ..history import AsOf, History
from .beginning import Since, beginning
from .commits import Commits, Finding
from .keys import PublicKey
from .memory import Memory, Seen
from .note import Note, origin_of
from .reading import Reader
from .trail import AUDIT_LANE, Recorded, Trail, pending
from .tree import Frontier
from .trust import Standing, Trust

UNANCHORED: Final = "unanchored"
UNSIGNED: Final = "nobody who is trusted has signed any of it (`hms audit sign`, once it is known to be right)"
TRUSTED, OUTSIDE, BEFORE = "trusted keys", "a checkpoint from outside", "what was verified before"
"""What anchored a history: named only where it was held against that."""


class Anchors(NamedTuple):
    """What the history may be held against: keys that are trusted, checkpoints from outside, what was verified before."""

    trust: Trust | None = None
    against: Sequence[Note] = ()
    memory: Memory | None = None


class ShardResult(NamedTuple):
    """What was found about a shard: its commits, how many of them a good checkpoint covers, and what is wrong."""

    shard: int
    first: int
    commits: int
    records: int
    checkpoints: int
    covered: int
    signed_at: datetime | None
    findings: tuple[Finding, ...]


class Result(NamedTuple):
    """What was found about a log, and what to remember of it."""

    log: str
    as_of: AsOf
    anchors: list[str]
    shards: list[ShardResult]
    findings: list[Finding]
    memory: Memory


async def verify(
    history: History, log: str, anchors: Anchors, reader: Reader, *, since_us: int | None = None
) -> Result:
    """Read every shard and hold it against its checkpoints and the anchors; nothing is raised for what is wrong with it.

    With `since_us`, each shard is read from its newest good checkpoint of before that instant on.
    """
    as_of = await history.as_of()
    trail = Trail()
    trust = _trust(anchors)
    since = None if since_us is None else Since(log, trust, since_us, _sizes_max(anchors, log))
    begun = [await beginning(history, shard, as_of, since) for shard in range(history.partitions)]
    read = await reader.read([one.range for one in begun])
    recorded = [one.checkpoint for one in begun if one.checkpoint is not None]
    recorded += [one for commits in read for one in trail.of(commits.trail)]
    recorded += await pending(history, trail, as_of, _next_in_lane(read))
    verifier = _Verifier(log, read, trust)
    verifier.judge(recorded)
    verifier.hold_against(anchors)
    return verifier.result(as_of, recorded)


def _trust(anchors: Anchors) -> Trust | None:
    """Return whose signatures count; None: nobody has said, so those count that stand beside them."""
    if anchors.trust is not None:
        return anchors.trust
    remembered = anchors.memory.keys if anchors.memory is not None else ()
    return Trust(tuple(PublicKey.parse(key) for key in remembered)) if remembered else None


def _sizes_max(anchors: Anchors, log: str) -> dict[int, int]:
    """Return, of each shard that something is known of from outside, how many commits that is about."""
    found = {shard: seen.size for shard, seen in (anchors.memory.shards if anchors.memory is not None else {}).items()}
    told: dict[int, int] = {}
    for checkpoint in (note.checkpoint for note in anchors.against):
        shard = checkpoint.origin.rpartition("-")[2]
        if shard.isdigit() and checkpoint.origin == origin_of(log, int(shard)):
            told[int(shard)] = max(told.get(int(shard), 0), checkpoint.size)
    return {shard: min(found.get(shard, size), size) for shard, size in {**found, **told}.items()}


def _next_in_lane(read: Iterable[Commits]) -> dict[int, int]:
    """Return where each shard goes on in the lane of checkpoints."""
    contract = Contract()
    contract.register(Commit, str(Commit.explicit_type))
    found = {}
    for commits in read:
        if commits.last:
            try:
                found[commits.shard] = commit_summary(contract, commits.last)["positions"][LANES.index(AUDIT_LANE)]
            except (ValueError, EOFError, LookupError):
                found[commits.shard] = 0
    return {shard: position for shard, position in found.items() if isinstance(position, int)}


class _Verifier:
    def __init__(self, log: str, read: Sequence[Commits], trust: Trust | None) -> None:
        self._log = log
        self._read = {commits.shard: commits for commits in read}
        self._trust = trust
        self._known: tuple[PublicKey, ...] = trust.keys if trust is not None else ()
        self._findings: dict[int, list[Finding]] = {commits.shard: list(commits.findings) for commits in read}
        self._elsewhere: list[Finding] = []
        self._good: dict[int, list[Note]] = {commits.shard: [] for commits in read}
        self._anchors: list[str] = []

    # --- checkpoints in the log ---------------------------------------------------------------------------------

    def judge(self, recorded: Sequence[Recorded]) -> None:
        """Judge every checkpoint, in the order in which they were signed, so that keys can introduce keys."""
        notes: dict[int, list[Note]] = {}
        for one in sorted(recorded, key=_signed_at):
            note = self._sound(one)
            if note is not None:
                notes.setdefault(one.shard, []).append(note)
        for shard, sound in notes.items():
            self._compare(shard, sound)

    def _want_signatures(self) -> None:
        """Look whether those who are trusted have signed anything at all: who cannot forge that leaves it away."""
        if any(self._good.values()):
            self._anchors.append(TRUSTED)
        elif any(commits.size for commits in self._read.values()):
            self._elsewhere.append(Finding(UNSIGNED, -1, "the log", "a checkpoint", "none"))
            return
        for shard, commits in self._read.items():
            if commits.size and not (self._good[shard] or self._findings[shard]):
                self._find(UNSIGNED, shard, f"commits 0 to {commits.size - 1}", "a checkpoint", "none")

    def _sound(self, one: Recorded) -> Note | None:
        """Return the note of a checkpoint that is signed as it should be."""
        where = f"the checkpoint of {one.size} commits"
        if one.shard not in self._read:
            self._find(
                "it is of a shard that is not there", one.shard, where, f"0 to {len(self._read) - 1}", f"{one.shard}"
            )
            return None
        if one.note is None:
            self._find("what stands there is no checkpoint", one.shard, where, "a signed note", repr(one.text[:40]))
            return None
        checkpoint = one.note.checkpoint
        expected = origin_of(self._log, one.shard)
        if checkpoint.origin != expected:
            self._find("it is another shard's or another log's", one.shard, where, expected, checkpoint.origin)
            return None
        if checkpoint.size != one.size:
            self._find("it signs another number of commits", one.shard, where, str(one.size), str(checkpoint.size))
            return None
        trust = self._trust.knowing(self._known) if self._trust is not None else Trust(one.keys)
        standing = trust.standing(one.note, one.shard)
        if standing is not Standing.GOOD:
            names = ", ".join(signature.name for signature in one.note.signatures)
            self._find(str(standing), one.shard, where, "a signature of a key that counts", f"one of {names}")
            return None
        if trust.may_introduce(one.note):
            self._known += tuple(key for key in one.keys if key not in self._known and one.note.signed_by(key))
        return one.note

    def _compare(self, shard: int, notes: Sequence[Note]) -> None:
        """Hold a shard's commits against what was signed of them."""
        commits = self._read[shard]
        roots = commits.roots(note.checkpoint.size for note in notes)
        before = commits.base.size
        for note in sorted(notes, key=lambda note: note.checkpoint.size):
            size, root = note.checkpoint.size, note.checkpoint.root
            if size < commits.base.size:
                continue
            if size > commits.size:
                self._find(
                    "the end is missing",
                    shard,
                    f"commit {commits.size}",
                    f"{size} commits, as signed",
                    f"{commits.size}",
                )
            elif (found := roots.get(size, b"")) != root:
                what = "what these commits were, or wrote, is not what was signed: changed since, or a fork"
                self._find(
                    what,
                    shard,
                    f"commits {before} to {size - 1}",
                    f"the root {root.hex()[:16]}",
                    found.hex()[:16] or "none",
                )
            else:
                self._good[shard].append(note)
                before = size
        self._find_forks(shard, notes)

    def _find_forks(self, shard: int, notes: Sequence[Note]) -> None:
        signed: dict[int, bytes] = {}
        for note in notes:
            size, root = note.checkpoint.size, note.checkpoint.root
            if signed.setdefault(size, root) != root:
                self._find("two histories were signed: a fork", shard, f"{size} commits", "one root", "two")

    # --- anchors ------------------------------------------------------------------------------------------------

    def hold_against(self, anchors: Anchors) -> None:
        """Hold the log against what is known from outside."""
        if anchors.trust is not None:
            self._want_signatures()
        by_origin = {origin_of(self._log, shard): shard for shard in self._read}
        for note in anchors.against:
            shard = by_origin.get(note.checkpoint.origin)
            if shard is None:
                self._strange(note.checkpoint.origin)
                continue
            if self._is_signed(note, shard):
                self._hold(shard, note.checkpoint.size, note.checkpoint.root, OUTSIDE, "the checkpoint from outside")
        if anchors.memory is not None:
            self._remembered(anchors.memory)

    def _is_signed(self, note: Note, shard: int) -> bool:
        """Say whether a checkpoint from outside is signed rightly, as far as anybody is trusted to say so."""
        if self._trust is None:
            return True
        standing = self._trust.knowing(self._known).standing(note, shard)
        if standing is Standing.GOOD:
            return True
        where = f"the checkpoint from outside of {note.checkpoint.size} commits"
        self._find(str(standing), shard, where, "a signature of a key that counts", "another")
        return False

    def _strange(self, origin: str) -> None:
        what = "the checkpoint from outside is of another log: this one was replaced, or it is the wrong checkpoint"
        self._elsewhere.append(Finding(what, -1, "the log", f"hms/{self._log}/shard-N", origin))

    def _remembered(self, memory: Memory) -> None:
        if memory.log not in {"", self._log}:  # the first time, it may not have had a name
            what = "the log is not the one that was verified before: it was replaced"
            self._elsewhere.append(Finding(what, -1, "the log", memory.log, self._log))
            return
        at = f"what was verified at {memory.verified_at:%Y-%m-%dT%H:%M:%SZ}"
        for shard, seen in memory.shards.items():
            if shard in self._read:
                self._hold(shard, seen.size, bytes.fromhex(seen.root), BEFORE, at)
            else:
                self._find(f"rolled back: {at} had more shards", shard, "the shard", f"{seen.size} commits", "none")

    def _hold(self, shard: int, size: int, root: bytes, anchor: str, against: str) -> None:
        commits = self._read[shard]
        if size < commits.base.size:
            return
        if anchor not in self._anchors:
            self._anchors.append(anchor)
        if size > commits.size:
            what = f"rolled back: the log has less than {against}"
            self._find(what, shard, f"commit {commits.size}", f"{size} commits or more", f"{commits.size}")
        elif (found := commits.roots([size]).get(size, b"")) != root:
            what = f"rewritten, or a fork: the log has another history than {against}"
            got = found.hex()[:16] or "none"
            self._find(what, shard, f"the first {size} commits", f"the root {root.hex()[:16]}", got)

    def _find(self, what: str, shard: int, where: str, expected: str, got: str) -> None:
        self._findings.setdefault(shard, []).append(Finding(what, shard, where, expected, got))

    # --- the end ------------------------------------------------------------------------------------------------

    def result(self, as_of: AsOf, recorded: Sequence[Recorded]) -> Result:
        """Return everything that was found."""
        counted: Mapping[int, int] = {shard: sum(one.shard == shard for one in recorded) for shard in self._read}
        shards = [self._shard(commits, counted[shard]) for shard, commits in sorted(self._read.items())]
        stray = [one for shard, found in self._findings.items() if shard not in self._read for one in found]
        findings = [*self._elsewhere, *stray, *(one for shard in shards for one in shard.findings)]
        keys = tuple(str(key) for key in self._known) or tuple(
            dict.fromkeys(str(key) for one in recorded for key in one.keys)
        )
        seen = {commits.shard: _seen(commits) for commits in self._read.values() if commits.size}
        memory = Memory(log=self._log, verified_at=datetime.now(UTC), keys=keys, shards=seen)
        return Result(self._log, as_of, self._anchors or [UNANCHORED], shards, findings, memory)

    def _shard(self, commits: Commits, checkpoints: int) -> ShardResult:
        newest = max(self._good[commits.shard], key=lambda note: note.checkpoint.size, default=None)
        return ShardResult(
            commits.shard,
            commits.base.size,
            commits.size,
            commits.records,
            checkpoints,
            max(commits.base.size, newest.checkpoint.size if newest else 0),
            newest.checkpoint.at if newest else None,
            tuple(self._findings[commits.shard]),
        )


def _seen(commits: Commits) -> Seen:
    tree = Frontier(commits.base.size, commits.base.peaks)
    for hashed in commits.hashes():
        tree.append(hashed)
    frontier = tuple(peak.hex() for peak in tree.peaks)
    return Seen(
        size=commits.size, position=commits.position, root=tree.root().hex(), head=commits.head.hex(), frontier=frontier
    )


def _signed_at(one: Recorded) -> tuple[datetime, int, int]:
    at = one.note.checkpoint.at if one.note is not None else datetime.min.replace(tzinfo=UTC)
    return at, one.shard, one.size
