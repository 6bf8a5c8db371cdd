"""Is the history the one that was signed, pushed to a witness, and verified before? Every answer that is no is named."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from ...core.log.port import EVENTS, LANES
from ...core.runtime.commit_record import commit_summary
from ...core.runtime.records import Commit
from ...schemas import Contract, partition_of
from ..history import AsOf, History
from .commits import Commits, Finding
from .keys import PublicKey
from .memory import Memory, Seen
from .note import Note, origin_of
from .reading import Range, Reader
from .trail import AUDIT_LANE, Recorded, Trail, newest_before, pending, trail_address
from .tree import Frontier
from .trust import Standing, Trust

UNANCHORED: Final = "unanchored"


class Anchors(NamedTuple):
    """What the history is held against: keys that are trusted, checkpoints from outside, what was verified before."""

    trust: Trust | None = None
    against: Sequence[Note] = ()
    memory: Memory | None = None

    @property
    def names(self) -> list[str]:
        """What there is of them, in words."""
        given = {
            "trusted keys": self.trust,
            "a checkpoint from outside": self.against,
            "what was verified before": self.memory,
        }
        return [name for name, value in given.items() if value]


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
    ranges = [await _range(history, trail, log, trust, shard, as_of, since_us) for shard in range(history.partitions)]
    read = await reader.read(ranges)
    recorded = [one for commits in read for one in trail.of(commits.trail)]
    recorded += await pending(history, trail, as_of, _next_in_lane(read))
    verifier = _Verifier(log, read, trust)
    verifier.judge(recorded)
    verifier.hold_against(anchors)
    return verifier.result(as_of, anchors, recorded)


async def _range(
    history: History, trail: Trail, log: str, trust: Trust | None, shard: int, as_of: AsOf, since_us: int | None
) -> Range:
    first, _ = await history.bounds(EVENTS, shard)
    end = as_of.positions[EVENTS, shard]
    whole = Range(shard, first, end, 0, (), b"\0" * 32)
    if since_us is None:
        return whole
    base = await _base(history, trail, log, trust, shard, as_of, since_us)
    return whole if base is None else base._replace(end=end)


async def _base(
    history: History, trail: Trail, log: str, trust: Trust | None, shard: int, as_of: AsOf, since_us: int
) -> Range | None:
    """Return a range from the newest checkpoint on that is good and was signed before an instant."""
    before = as_of.positions[EVENTS, partition_of(trail_address(shard), history.partitions)]
    while found := await newest_before(history, trail, shard, before):
        note = found.note
        if note is not None and note.checkpoint.at <= datetime.fromtimestamp(since_us / 1_000_000, UTC):
            known = trust or Trust(found.keys)
            is_ours = note.checkpoint.origin == origin_of(log, shard) and note.checkpoint.size == found.size
            if is_ours and known.standing(note, shard) is Standing.GOOD and _fits(found, note):
                return Range(shard, found.position, found.position, found.size, found.frontier, note.checkpoint.head)
        before = found.at
    return None


def _fits(found: Recorded, note: Note) -> bool:
    try:
        return Frontier(found.size, found.frontier).root() == note.checkpoint.root
    except ValueError:
        return False


def _trust(anchors: Anchors) -> Trust | None:
    """Return whose signatures count; None: nobody has said, so those count that stand beside them."""
    if anchors.trust is not None:
        return anchors.trust
    remembered = anchors.memory.keys if anchors.memory is not None else ()
    return Trust(tuple(PublicKey.parse(key) for key in remembered)) if remembered else None


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

    def _sound(self, one: Recorded) -> Note | None:
        """Return the note of a checkpoint that is signed as it should be."""
        where = f"the checkpoint of {one.size} commits"
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
            elif size in roots and roots[size] != root:
                what = "what these commits were, or wrote, is not what was signed: changed since, or a fork"
                self._find(
                    what,
                    shard,
                    f"commits {before} to {size - 1}",
                    f"the root {root.hex()[:16]}",
                    roots[size].hex()[:16],
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
        by_origin = {origin_of(self._log, shard): shard for shard in self._read}
        for note in anchors.against:
            shard = by_origin.get(note.checkpoint.origin)
            if shard is None:
                self._strange(note.checkpoint.origin)
                continue
            if self._is_signed(note, shard):
                self._hold(shard, note.checkpoint.size, note.checkpoint.root, "the checkpoint from outside")
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
        for shard, seen in memory.shards.items():
            if shard in self._read:
                self._hold(
                    shard,
                    seen.size,
                    bytes.fromhex(seen.root),
                    f"what was verified at {memory.verified_at:%Y-%m-%dT%H:%M:%SZ}",
                )

    def _hold(self, shard: int, size: int, root: bytes, against: str) -> None:
        commits = self._read[shard]
        if size > commits.size:
            what = f"rolled back: the log has less than {against}"
            self._find(what, shard, f"commit {commits.size}", f"{size} commits or more", f"{commits.size}")
        elif size >= commits.base.size and (found := commits.roots([size])[size]) != root:
            what = f"rewritten, or a fork: the log has another history than {against}"
            self._find(what, shard, f"the first {size} commits", f"the root {root.hex()[:16]}", found.hex()[:16])

    def _find(self, what: str, shard: int, where: str, expected: str, got: str) -> None:
        self._findings.setdefault(shard, []).append(Finding(what, shard, where, expected, got))

    # --- the end ------------------------------------------------------------------------------------------------

    def result(self, as_of: AsOf, anchors: Anchors, recorded: Sequence[Recorded]) -> Result:
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
        return Result(self._log, as_of, anchors.names or [UNANCHORED], shards, findings, memory)

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
