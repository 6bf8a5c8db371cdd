"""Signs checkpoints of shards as their commits come, puts them into the log, and pushes them to a witness outside."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import structlog

from ...core.address import Address
from ...core.client import Client
from ...core.clock import SystemClock
from ...core.errors import ValidationFailed
from ...core.log.port import EVENTS, Log, Stored
from ...core.runtime.commit_record import GENESIS, SHARD_KEY, commit_fields
from ...core.runtime.records import Commit
from ...schemas import Contract
from ...schemas.audit import RecordCheckpoint
from ..archive.errors import HistoryGap
from ..history import History
from .beginning import newest_right, sound_note
from .commits import TRAIL_KEY, Commits, batches
from .errors import NotAProof
from .identity import make_log_id
from .keys import Signer
from .note import Checkpoint, origin_of, signed
from .trail import trail_address
from .tree import Frontier
from .trust import Trust
from .witness import push

logger = structlog.get_logger("hms.audit")
EVERY_COMMITS: Final = 10_000
EVERY_MS: Final = 300_000
"""A checkpoint is some kilobytes of log, with all that it takes to keep it: every minute, a hundred megabytes a day."""
LOOK_EVERY_MS: Final = 10_000
"""How often a node looks whether there is anything to sign: not at every commit, which would cost as much as the commits."""
_PRIORITY: Final = "low"


class Terms(NamedTuple):
    """When to sign: after so many commits, or so long after the last time; and whom to tell."""

    every_commits: int = EVERY_COMMITS
    every_ms: int = EVERY_MS
    witness: str | None = None


class AuditDuty:
    """The duty of a node that signs the history of the shards it owns; `signers` is asked at each checkpoint."""

    name = "audit"

    def __init__(
        self, log: Log, signers: Callable[[], Sequence[Signer]], terms: Terms, archive: str | None = None
    ) -> None:
        self._log = log
        self._archive = archive
        self._signers = signers
        self._terms = terms

    async def follow(self, shard: int, epoch: int) -> None:
        """Sign a shard's commits until cancelled."""
        del epoch  # two nodes may sign the same commits; that is no contradiction
        follower = await begin(self._log, await self._history(), shard, self._signers())
        loop = asyncio.get_running_loop()
        due_at = loop.time() + self._terms.every_ms / 1_000
        unpushed = (
            [follower.note] if follower.note else []
        )  # whoever signed it may have died before he told the witness
        while True:
            await follower.advance()
            if follower.new >= self._terms.every_commits or (follower.new and loop.time() >= due_at):
                unpushed.append(await follower.sign(self._signers()))
            if loop.time() >= due_at or unpushed:
                due_at = loop.time() + self._terms.every_ms / 1_000
                unpushed = await self._push(unpushed)
            await asyncio.sleep(min(LOOK_EVERY_MS, self._terms.every_ms) / 1_000)

    async def _history(self) -> History:
        if self._archive is None:
            return History(self._log)
        from ..archive.reader import Archive  # noqa: PLC0415 - it needs pyarrow

        try:
            return History(self._log, await Archive.open(self._archive))
        except ValidationFailed:  # it is about to be made
            return History(self._log)

    async def _push(self, notes: list[str]) -> list[str]:
        """Bring notes to the witness; return those that it does not have yet."""
        if self._terms.witness is None:
            return []
        for index, note in enumerate(notes):
            try:
                await asyncio.to_thread(push, self._terms.witness, note)
            except OSError as error:
                logger.warning(
                    "witness_not_reached", witness=self._terms.witness, waiting=len(notes) - index, error=str(error)
                )
                return notes[index:]
        return []


class Follower:
    """The tree of one shard, as far as its commits were read."""

    def __init__(
        self, log: Log, history: History, log_id: str, commits: Commits, position: int, note: str = ""
    ) -> None:
        self.note = note
        """The checkpoint that it goes on from; empty where it begins with the first commit."""
        self._log = log
        self._history = history
        self._log_id = log_id
        self._commits = commits
        self._tree = Frontier(commits.base.size, commits.base.peaks)
        self._client = Client(log, "auditor", SystemClock())  # not started: nobody answers it
        self._contract = Contract()
        self._contract.register(Commit, str(Commit.explicit_type))
        self.position = position
        """Where reading goes on."""
        self._keys: set[bool] = set()
        """Of the events behind the last commit: whether they are of audit trails."""
        self._has_signed = False
        self.new = 0
        """Commits since the last checkpoint that are of anything but checkpoints."""

    @property
    def size(self) -> int:
        """How many commits were read."""
        return self._tree.size

    async def advance(self) -> None:
        """Read what has come. Raises `NotAProof` where the chain does not hold: what is wrong is never signed."""
        _, end = await self._history.bounds(EVENTS, self._commits.shard)
        async for records in batches(self._history, self._commits.shard, self.position, end):
            before = self._commits.size
            self._commits.take(records)
            is_first = self._commits.base.size == 0 and not self._has_signed
            self.new += self._commits.size - before if is_first or self._is_work(records) else 0
            if records:
                self.position = records[-1].offset + 1
            for hashed in self._commits.hashes():
                self._tree.append(hashed)
            self._commits.leaves.clear()
            self._commits.trail.clear()
        if self._commits.findings:
            raise NotAProof(f"not signed: {self._commits.findings[0]}; run `hms audit verify`")

    def _is_work(self, records: list[Stored]) -> bool:
        """Say whether any commit did more than keep checkpoints: else signing would be a reason to sign, for ever."""
        for stored in records:
            if not stored.key.startswith(SHARD_KEY):
                self._keys.add(stored.key.startswith(TRAIL_KEY))
                continue
            kept, self._keys = self._keys, set()
            if False in kept or (not kept and commit_fields(self._contract, stored.value or b"")["inputs"]):
                return True
        return False

    async def sign(self, signers: Sequence[Signer]) -> str:
        """Sign the commits read so far, put the checkpoint into the log, and return its note."""
        shard = self._commits.shard
        origin = origin_of(self._log_id, shard)
        note = signed(Checkpoint(origin, self.size, self._tree.root(), self._commits.head, datetime.now(UTC)), signers)
        message = RecordCheckpoint(
            shard=shard,
            size=self.size,
            position=self._commits.position,
            frontier=tuple(self._tree.peaks),
            signers=tuple(str(one.public) for one in signers),
            note=note,
        )
        to: Address[RecordCheckpoint] = Address(trail_address(shard))
        await self._client.tell(to, message, priority=_PRIORITY)
        self.new = 0
        self._has_signed = True
        return note


async def begin(log: Log, history: History, shard: int, signers: Sequence[Signer]) -> Follower:
    """Return a follower that has read a shard to its end: from its newest checkpoint of these on, or from the first commit.

    Anybody can send a checkpoint. Who went on from a stranger's would sign what that one says the first commits were; so that
    is done only where the first commits were deleted by policy. Errors: see `Follower.advance`.
    """
    own = Trust(tuple(one.public for one in signers))
    follower = await _at_newest(log, history, shard, own)
    try:
        await follower.advance()
    except HistoryGap:
        follower = await _at_newest(log, history, shard, None)
        await follower.advance()
    return follower


async def _at_newest(log: Log, history: History, shard: int, trust: Trust | None) -> Follower:
    """Return a follower at a shard's newest checkpoint of trusted keys (`None`: of any), or at the first commit."""
    log_id = await make_log_id(log, history)
    origin = origin_of(log_id, shard)
    _, end = await history.bounds(EVENTS, shard)
    found = await newest_right(
        history, shard, end, lambda one: sound_note(one, origin, trust or Trust(one.keys)) is not None
    )
    if found is None or found.note is None:
        return Follower(log, history, log_id, Commits(shard, Frontier(), GENESIS), 0)
    commits = Commits(shard, Frontier(found.size, found.frontier), found.note.checkpoint.head)
    commits.position = found.position
    return Follower(log, history, log_id, commits, found.position, found.note.whole)


async def sign_all(log: Log, history: History, signers: Sequence[Signer], witness: str | None = None) -> list[str]:
    """Sign every shard that has commits as it is now; return the notes. Raises `OSError` where the witness cannot be told."""
    notes = []
    for shard in range(history.partitions):
        follower = await begin(log, history, shard, signers)
        if follower.size:
            notes.append(await follower.sign(signers))
    if witness is not None:
        for note in notes:
            await asyncio.to_thread(push, witness, note)
    return notes
