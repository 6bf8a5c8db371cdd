"""A manifest: what one step changed in the archive of one shard. The numbered manifests are the truth, no glob is.

Each names its predecessor by hash, the owner's epoch, and what the whole archive of the shard covers after it. Positions
are exclusive at the end; instants are microseconds UTC.
"""

import hashlib
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

FORMAT: Final = 1
SNAPSHOTS_KEPT: Final = 60
"""The newest ones of a shard: so many points of the past are cheap to go back to."""
NO_MANIFEST: Final = "0" * 64
Kind = Literal["append", "compact", "expire", "sweep", "gap", "snapshot"]


class Value(BaseModel):
    """A frozen value in JSON; what a newer version added is left out when it is read."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ArchivedFile(Value):
    """One Parquet file: records of one type, of one topic of one shard, of one day. `path` is relative to the archive."""

    path: str
    type: str
    topic: str
    shard: int
    date: str
    first: int
    """Position of its first record."""
    next: int
    """Position behind its last record; records of other types may lie between."""
    rows: int
    bytes: int
    sha256: str
    appended_us_min: int
    appended_us_max: int
    schema_id: int
    raw_bytes: int = 0
    """What its table takes in memory."""
    compacted: bool = False


class Link(Value):
    """The last commit record that is archived: the chain goes on from its hash."""

    sequence: int
    sha256: str
    position: int
    now_us: int


class Anchor(Value):
    """The last archived record of a topic: a log that holds another one at that position is another log."""

    position: int
    sha256: str


class Gap(Value):
    """Positions that were never archived, and why; somebody accepted that, or HMS's own rule deleted them."""

    topic: str
    first: int
    next: int
    why: str


class Signature(Value):
    """Who vouches for a tombstone; `value` is over its canonical JSON without the signature."""

    key_id: str
    algorithm: str
    value: str


class Tombstone(Value):
    """What was deleted by policy: how much, of when, whose bytes had which hashes, and which snapshot stands in for it."""

    topic: str
    type: str
    shard: int
    first: int
    next: int
    rows: int
    appended_us_min: int
    appended_us_max: int
    sha256: tuple[str, ...]
    why: str
    expired_us: int
    snapshot: str = ""
    commits: tuple[int, int] | None = None
    """First and last sequence of the commit records that went, if any did."""
    signature: Signature | None = None

    def signed_part(self) -> bytes:
        """Return the bytes that are signed."""
        return self.model_copy(update={"signature": None}).model_dump_json().encode()


class Snapshot(Value):
    """The shard's checkpoints in one file: a restore begins with them and the events from `low_water` on."""

    path: str
    low_water: int
    sequence: int
    """The commit that wrote the shard's own checkpoint."""
    through: int
    """No checkpoint in it is of a later commit than this one."""
    taken_us: int
    sha256: str
    bytes: int


class Removed(Value):
    """A file that no longer counts; it is deleted when no query can still be reading it."""

    path: str
    removed_us: int


class Whole(Value):
    """All that counts after this manifest: readers need no older one."""

    files: tuple[ArchivedFile, ...]
    removed: tuple[Removed, ...]
    tombstones: tuple[Tombstone, ...]
    gaps: tuple[Gap, ...]
    snapshots: tuple[Snapshot, ...] = ()


class Manifest(Value):
    """One step of one shard's archive."""

    format: int = FORMAT
    archive: str
    shard: int
    number: int
    previous: str
    epoch: int
    owner: str
    kind: Kind
    written_us: int
    covered: dict[str, tuple[int, int]]
    complete_us: dict[str, int]
    """Of each topic: every record that was appended before this instant is archived."""
    chain: Link | None
    anchors: dict[str, Anchor]
    snapshot: Snapshot | None
    """The newest one; those before it count too, see `SNAPSHOTS_KEPT`."""
    add: tuple[ArchivedFile, ...] = ()
    remove: tuple[Removed, ...] = ()
    deleted: tuple[str, ...] = ()
    """Removed files, and files that no manifest ever named, which are deleted after this manifest."""
    tombstones: tuple[Tombstone, ...] = ()
    gaps: tuple[Gap, ...] = ()
    whole: Whole | None = None

    def encoded(self) -> bytes:
        """Return the bytes of its file."""
        return self.model_dump_json(indent=1).encode() + b"\n"


def reason(error: Exception) -> str:
    """Return in one line why something could not be read as what it should be."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
    return str(error)


def sha256(data: bytes | memoryview) -> str:
    """Return a SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()
