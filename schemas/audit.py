"""Signed checkpoints of the history: what a node says that a shard's commits were, kept as ordinary events of `audit/shard-N`."""

from typing import ClassVar

from .record import Event, Message, State


class RecordCheckpoint(Message):
    """To `audit/shard-N`: the first `size` commits of a shard, signed; see `hms.replay.audit`.

    `note` is a signed note (C2SP) of size, root and time. `position` is the offset of `hms.events` behind the last of these
    commits, `frontier` the hashes of the tree's full halves, from which it goes on; `signers` are their public keys.
    """

    explicit_type: ClassVar[str | None] = "hms.RecordCheckpoint"

    shard: int
    size: int
    position: int
    frontier: tuple[bytes, ...]
    signers: tuple[str, ...]
    note: str


class CheckpointRecorded(Event):
    """A checkpoint is part of the history that the next one signs; the fields are `RecordCheckpoint`'s."""

    explicit_type: ClassVar[str | None] = "hms.CheckpointRecorded"

    shard: int
    size: int
    position: int
    frontier: tuple[bytes, ...]
    signers: tuple[str, ...]
    note: str


class AuditTrail(State):
    """What `audit/shard-N` remembers: the largest checkpoint, and how many there were."""

    size: int = 0
    note: str = ""
    count: int = 0
