"""Is a shard's history whole? Its commit records against each other, and against what they say was read and written."""

from typing import Any, NamedTuple

from ...core.errors import HistoryBroken
from ...core.log.port import EVENTS, LANES, Log, Stored, Watermarks
from ...core.runtime.commit_record import GENESIS, START, Head, commit_fields, digest, following
from ...core.runtime.commits import CommitMissing, Inputs, LogRecords, transactions_of
from ...core.runtime.records import TIMER_LANE, Commit
from ...schemas import Contract, MalformedRecord
from .journal import Entry, Journal
from .log_sent import Written, sent_parts, written


class Finding(NamedTuple):
    """What is wrong, and where: at this offset of `hms.events`."""

    what: str
    partition: int
    offset: int
    expected: str
    got: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.what} at {EVENTS}/{self.partition}@{self.offset}: expected {self.expected}, got {self.got}"


class ShardReport(NamedTuple):
    """What was checked of a shard, up to the first finding."""

    shard: int
    commits: int
    first_sequence: int | None
    last_sequence: int | None
    reads_checked: int
    writes_checked: int
    finding: Finding | None


class _Broken(Exception):
    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


async def verify_log(log: Log) -> list[ShardReport]:
    """Check every shard from its first kept commit to its last."""
    # The ends first: what the commits up to them wrote elsewhere is there, then.
    marks = [await log.watermarks(EVENTS, shard) for shard in range(log.partitions)]
    others = await written(log, Journal(log))
    return [await _Verification(log, shard, others[shard]).verify(marks[shard]) for shard in range(log.partitions)]


class _Verification:
    def __init__(self, log: Log, shard: int, others: Written) -> None:
        self._others = others
        self._log = log
        self._shard = shard
        self._contract = Contract()
        self._contract.register(Commit, str(Commit.explicit_type))
        self._head: Head = START
        self._epoch = 0
        self._first: int | None = None
        self._commits = 0
        self._reads = 0
        self._writes = 0
        self._journal = Journal(log)
        self._inputs: Inputs

    async def verify(self, marks: Watermarks) -> ShardReport:
        finding = None
        lanes = [await self._log.watermarks(topic, self._shard) for topic in LANES]
        starts, ends = [mark.start for mark in lanes], [mark.stable for mark in lanes]
        self._inputs = Inputs(LogRecords(self._log), self._shard, ends, starts=starts)
        try:
            await self._run(marks)
        except _Broken as broken:
            finding = broken.finding
        await self._inputs.close()
        last = self._head.sequence if self._commits else None
        return ShardReport(self._shard, self._commits, self._first, last, self._reads, self._writes, finding)

    async def _run(self, marks: Watermarks) -> None:
        """Go over the commits as `hms replay verify` does, without deciding anything."""
        try:
            async for events, stored in transactions_of(LogRecords(self._log), self._shard, marks.start, marks.stable):
                await self._commit(stored, events, from_genesis=marks.start == 0 and self._commits == 0)
        except CommitMissing as error:
            what = "a transaction without its commit record"
            raise self._broken(what, error.events[-1], "a commit record", "the end") from None

    async def _commit(self, stored: Stored, events: list[Stored], *, from_genesis: bool) -> None:
        fields = self._fields(stored)
        if from_genesis and (fields["sequence"], fields["previous"]) != (0, GENESIS):
            raise self._broken("the beginning is missing", stored, "commit 0", f"commit {fields['sequence']}")
        self._link(stored, fields)
        if fields["epoch"] < self._epoch:
            raise self._broken(
                "an owner that was fenced off wrote", stored, f"epoch {self._epoch} or more", fields["epoch"]
            )
        self._epoch = fields["epoch"]
        self._first = fields["sequence"] if self._first is None else self._first
        self._commits += 1
        inputs = [None if one is None else await self._journal.decoded(one) for one in await self._inputs.of(fields)]
        known = self._check_reads(stored, fields, inputs)
        await self._check_writes(stored, fields, inputs, events, known=known)

    def _fields(self, stored: Stored) -> dict[str, Any]:
        try:
            return commit_fields(self._contract, stored.value or b"")
        except (MalformedRecord, EOFError, ValueError, LookupError, TypeError) as error:
            raise self._broken("a commit record that cannot be read", stored, "a commit record", str(error)) from error

    def _link(self, stored: Stored, fields: dict[str, Any]) -> None:
        head = self._head
        try:
            self._head = following(head, fields, stored.value or b"", "")
        except HistoryBroken as error:
            expected = f"commit {head.sequence + 1} after {head.previous.hex()[:16]}"
            got = f"commit {fields['sequence']} after {fields['previous'].hex()[:16]}"
            raise self._broken("the chain is broken", stored, expected, got) from error

    def _check_reads(self, stored: Stored, fields: dict[str, Any], inputs: list[Entry | None]) -> bool:
        """Hold the consumed messages against the digest; return whether they are all there."""
        messages = [
            entry for consumed, entry in zip(fields["inputs"], inputs, strict=True) if consumed["lane"] < TIMER_LANE
        ]
        values = [entry.stored.value or b"" for entry in messages if entry is not None]
        if len(values) < len(messages):
            return False
        expected, got = fields["digest_read"], digest(values)
        if got != expected:
            raise self._broken("messages that it consumed were changed", stored, expected.hex()[:16], got.hex()[:16])
        self._reads += 1
        return True

    async def _check_writes(
        self, stored: Stored, fields: dict[str, Any], inputs: list[Entry | None], events: list[Stored], *, known: bool
    ) -> None:
        """Hold what was written against the digest; what is gone from the log cannot be."""
        entries = [await self._journal.decoded(event) for event in events]
        expected, got = fields["digest_sent"], digest(sent_parts(fields, inputs, entries, self._others))
        if got == expected:
            self._writes += 1
        elif known and self._others.complete:
            raise self._broken("what it wrote was changed", stored, expected.hex()[:16], got.hex()[:16])

    def _broken(self, what: str, stored: Stored, expected: object, got: object) -> _Broken:
        return _Broken(Finding(what, self._shard, stored.offset, str(expected), str(got)))
