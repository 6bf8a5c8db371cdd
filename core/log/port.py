"""The durable log as the runtime sees it: the port that every backend implements.

A log is a set of topics with a fixed number of partitions, co-partitioned by the actor's address. Whoever owns a shard
(one partition number across the topics) writes through a fenced `Writer`; anybody may `append` messages. Readers see
committed records only. The port carries everything that Kafka forces on a reader from the first day: offsets have gaps
(transaction markers, aborted records, compaction), the last stable offset may stand behind the high watermark, the
outcome of a commit may be unknown, owners are fenced.

The words are Kafka's. Offsets and positions count from 0; a position is the next offset to read. Instants are
microseconds since the epoch (UTC); durations are milliseconds.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

CRITICAL: Final = "hms.inbox.critical"
HIGH: Final = "hms.inbox.high"
NORMAL: Final = "hms.inbox.normal"
LOW: Final = "hms.inbox.low"
OUTBOX: Final = "hms.outbox"
EVENTS: Final = "hms.events"
CHECKPOINTS: Final = "hms.checkpoints"
DEAD_LETTERS: Final = "hms.dead-letters"
SCHEMAS: Final = "hms.schemas"

LANES: Final = (CRITICAL, HIGH, NORMAL, LOW)
CO_PARTITIONED: Final = (OUTBOX, *LANES, EVENTS, CHECKPOINTS, DEAD_LETTERS)
TOPICS: Final = (*CO_PARTITIONED, SCHEMAS)
COMPACTED: Final = (CHECKPOINTS, SCHEMAS)
DEFAULT_PARTITIONS: Final = 16
RECORD_BYTES_MAX: Final = 1_000_000
"""Key, value and headers of one record together; larger ones are refused before anything is produced."""

Headers = tuple[tuple[str, bytes], ...]


class Draft(NamedTuple):
    """A record on its way into the log; `value` None is a tombstone (compacted topics only)."""

    topic: str
    partition: int
    key: bytes
    value: bytes | None
    headers: Headers = ()


class Stored(NamedTuple):
    """A record in the log; `at_us` is the log's own append time, never the sender's claim."""

    topic: str
    partition: int
    offset: int
    at_us: int
    key: bytes
    value: bytes | None
    headers: Headers


class Slice(NamedTuple):
    """What one read gave; `position` is where to go on: past markers, aborted and compacted records too."""

    records: list[Stored]
    position: int


class Watermarks(NamedTuple):
    """`start`: first offset kept; `stable`: committed readers stop there; `high`: the end, open transactions included."""

    start: int
    stable: int
    high: int


class Capabilities(NamedTuple):
    """Where backends differ, declared; the conformance suite asks these and nothing else."""

    markers: bool
    """A commit takes offsets of its own (gaps)."""
    open_transactions: bool
    """Uncommitted records can be in a partition, hiding what is behind them."""
    durable: bool
    """What is acknowledged survives the process."""
    shared: bool
    """Several processes may use it at once."""
    headers: bool
    """Tools of others read the headers; where they do not, the copy of the envelope that headers are is not written."""


class Writer(Protocol):
    """The one writer of a shard, valid until somebody else opens the shard.

    `epoch` grows with every opening of the shard; a log that numbers its writers anew after a long rest says so, and the
    runtime then goes on counting from the last epoch that it finds in the shard's commit records.
    """

    shard: int
    epoch: int

    async def commit(self, drafts: Sequence[Draft]) -> list[int]:
        """Write all drafts, in order, as one transaction and return their offsets; visible and durable, or not at all.

        The drafts may go to any topic and partition. Raises `WriterFenced` (another owner has opened the shard:
        nothing was written), `LogUnreachable` (nothing was written), `CommitUnknown` (written or not; the writer
        is dead: re-open, restore and look), `ValueError` (a draft too large: nothing was written). After any
        of them but `ValueError` the writer is dead.
        """
        ...

    async def close(self) -> None:
        """Give the shard up; an open transaction is aborted. Never raises."""
        ...


class Assignment(NamedTuple):
    """Which shards this node should own; the generation grows whenever any node's assignment changes."""

    generation: int
    shards: frozenset[int]


class NodeInfo(NamedTuple):
    """A member as others see it."""

    node: str
    shards: frozenset[int]
    seen_us: int
    alive: bool


class Membership(Protocol):
    """One node's place among the nodes of a log; kept alive in the background until `leave`."""

    node: str

    async def assignment(self) -> Assignment:
        """Return the newest assignment known."""
        ...

    async def wait_changed(self, generation: int, timeout_ms: int) -> Assignment:
        """Wait until the assignment's generation is not `generation`, or the time is over; return the newest."""
        ...

    async def confirm(self, shard: int, generation: int) -> bool:
        """Ask the authority (not a cache) whether this node still owns the shard in that generation.

        Called after a writer was opened; on False the writer is closed at once.
        """
        ...

    async def release(self, shard: int) -> None:
        """Say that this node has stopped a shard that was taken from it, so that the next owner may open it."""
        ...

    async def leave(self) -> None:
        """Give all shards up and go, so that others take over without waiting for a lease to end."""
        ...


class Log(Protocol):
    """A durable log. Every method raises `LogUnreachable` when the backend cannot answer within its deadline."""

    url: str
    partitions: int
    """Of each co-partitioned topic, recorded in the log; `SCHEMAS` has one."""
    capabilities: Capabilities

    async def append(self, drafts: Sequence[Draft]) -> list[int]:
        """Write the drafts durably, unfenced, atomically per call where the backend can; return their offsets.

        For messages from outside and for schemas. Raises `AppendUnknown` when the answer was lost: retrying may write
        the records twice, which the receivers' deduplication absorbs when the ids are the same.
        """
        ...

    async def read(
        self, topic: str, partition: int, position: int, *, records_max: int = 500, headers: bool = True
    ) -> Slice:
        """Return committed records from `position` on, at most `records_max`, without waiting.

        An empty slice whose position moved has passed a gap; one whose position is the same has nothing more (yet).
        Without `headers` the backend may leave them out: a fold has no use for them, and they cost as much as the rest.
        On compacted topics older values of a key may or may not still be there. Raises `PositionTrimmed` when
        `position` is below the start, and `HistoryBroken` when it is beyond the end: silence would be a loss.
        """
        ...

    async def watermarks(self, topic: str, partition: int) -> Watermarks:
        """Return the partition's start, last stable offset and high watermark, asked now (not from a cache)."""
        ...

    async def wait(self, positions: Mapping[tuple[str, int], int], timeout_ms: int) -> None:
        """Return when any (topic, partition) has something to read at its position, or after the timeout."""
        ...

    async def open_writer(self, shard: int, owner: str) -> Writer:
        """Fence the shard's previous writer, resolve its open transaction, and return the new one.

        Raises `WriterFenced` when somebody else opened the shard meanwhile.
        """
        ...

    async def join(self, node: str) -> Membership:
        """Become a member under a name; the shards are shared out among the live members."""
        ...

    async def nodes(self) -> list[NodeInfo]:
        """Return the members, dead ones of the last hour included."""
        ...

    def mirror(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Show how far the shards have read, to whatever tools the backend's world has for lag; others do nothing.

        Never waits, never raises, and nobody reads it back: the truth is in the commit records.
        """
        ...

    async def clock_us(self) -> int:
        """Return the log's own time, the one of `Stored.at_us`, asked now: not before the call and not after its return."""
        ...

    async def trim(self, topic: str, partition: int, before: int) -> None:
        """Delete records below `before` (or as much of that as the backend can)."""
        ...

    async def compact(self, topic: str, partition: int, before: int) -> None:
        """Drop, below `before`, values that have a newer one for their key, and old tombstones.

        A no-op where the backend does so by itself.
        """
        ...

    async def get_setting(self, name: str) -> str | None:
        """Read a fact that the log carries about itself (fleet, host binding, apps); see `put_setting`."""
        ...

    async def put_setting(self, name: str, value: str, *, expected: str | None) -> bool:
        """Set it if it is still `expected` (None: absent); return whether it was."""
        ...

    async def close(self) -> None:
        """Release everything; membership ends."""
        ...
