"""Is a shard's history whole? Its commit records against each other, and against what they say was read and written."""

from typing import Any, NamedTuple

from ...core.errors import HistoryBroken, PositionTrimmed
from ...core.log.port import CHECKPOINTS, DEAD_LETTERS, EVENTS, LANES, OUTBOX, Log, Stored
from ...core.runtime.commit_record import GENESIS, SHARD_KEY, START, Head, commit_fields, digest, following
from ...core.runtime.records import TIMER_LANE, Commit
from ...schemas import Contract, MalformedRecord, partition_of
from .journal import Journal

READ_RECORDS = 1_000


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


async def verify_shard(log: Log, shard: int) -> ShardReport:
    """Check one shard from its first kept commit to its last."""
    verification = _Verification(log, shard)
    finding = None
    try:
        await verification.run()
    except _Broken as broken:
        finding = broken.finding
    return verification.report(finding)


class _Verification:
    def __init__(self, log: Log, shard: int) -> None:
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
        self._others: frozenset[int] | None = None

    def report(self, finding: Finding | None) -> ShardReport:
        last = self._head.sequence if self._commits else None
        return ShardReport(self._shard, self._commits, self._first, last, self._reads, self._writes, finding)

    async def run(self) -> None:
        # The end first: what the commits up to it wrote elsewhere is there, then.
        marks = await self._log.watermarks(EVENTS, self._shard)
        self._others = await _written_elsewhere(self._log, self._shard)
        position, kept_from_start = marks.start, marks.start == 0
        events: list[Stored] = []
        while position < marks.stable:
            read = await self._log.read(EVENTS, self._shard, position, records_max=READ_RECORDS)
            for stored in read.records:
                if stored.key.startswith(SHARD_KEY):
                    await self._commit(stored, events, from_genesis=kept_from_start and self._commits == 0)
                    events = []
                else:
                    events.append(stored)
            if read.position == position:
                break
            position = read.position
        if events:
            raise self._broken("a transaction without its commit record", events[-1], "a commit record", "the end")

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
        self._check_writes(stored, fields, events)
        await self._check_reads(stored, fields)

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

    def _check_writes(self, stored: Stored, fields: dict[str, Any], events: list[Stored]) -> None:
        """Hold the events against the digest. With messages or checkpoints among them its order is not known here."""
        expected = fields["digest_sent"]
        got = digest(part for event in events for part in (event.key, event.value))
        if got == expected:
            self._writes += 1
        elif self._others is not None and fields["now"] not in self._others and not _forwards(fields):
            raise self._broken("events were changed", stored, expected.hex()[:16], got.hex()[:16])

    async def _check_reads(self, stored: Stored, fields: dict[str, Any]) -> None:
        values: list[bytes] = []
        for consumed in fields["inputs"]:
            if consumed["lane"] < TIMER_LANE:
                value = await self._input(consumed["lane"], consumed["offset"])
                if value is None:
                    return
                values.append(value)
        got = digest(values)
        if got != fields["digest_read"]:
            raise self._broken(
                "messages that it consumed were changed", stored, fields["digest_read"].hex()[:16], got.hex()[:16]
            )
        self._reads += 1

    async def _input(self, lane: int, offset: int) -> bytes | None:
        """Return a consumed message's value, None if it is no longer kept."""
        try:
            read = await self._log.read(LANES[lane], self._shard, offset, records_max=1)
        except PositionTrimmed:
            return None
        found = read.records and read.records[0].offset == offset
        return read.records[0].value or b"" if found else b""

    def _broken(self, what: str, stored: Stored, expected: object, got: object) -> _Broken:
        return _Broken(Finding(what, self._shard, stored.offset, str(expected), str(got)))


def _forwards(fields: dict[str, Any]) -> bool:
    return any(consumed["verdict"] == "forwarded" for consumed in fields["inputs"])


async def _written_elsewhere(log: Log, shard: int) -> frozenset[int] | None:
    """Return the instants at which this shard wrote more than events; None if some of that is no longer kept."""
    journal = Journal(log)
    instants: set[int] = set()
    topics = (CHECKPOINTS, DEAD_LETTERS, OUTBOX, *LANES)
    for topic in topics:
        own = topic in (CHECKPOINTS, DEAD_LETTERS)
        for partition in (shard,) if own else range(log.partitions):
            marks = await log.watermarks(topic, partition)
            if marks.start:
                return None
            entries = journal.until({(topic, partition): 0}, {(topic, partition): marks.stable})
            seen = 0
            async for entry in entries:
                seen += 1
                if entry.envelope is not None and (own or partition_of(entry.envelope.source, log.partitions) == shard):
                    instants.add(entry.envelope.at_us)
            if topic == CHECKPOINTS and seen < marks.stable and not log.capabilities.markers:
                return None
    return frozenset(instants)
