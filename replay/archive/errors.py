"""What can be wrong with history, cut by who must act.

HmsError
├── HistoryBroken
│   └── ArchiveMismatch     the archive and the log are not of one history
├── LogUnreachable
│   └── PositionTrimmed
│       └── HistoryGap      records that are neither in the log nor in the archive
│           └── RangeExpired    they are under a tombstone: deleted by policy, signed for
├── ArchiveFenced           a newer owner writes this shard's manifests
└── ArchiveDamaged          a file of the archive is missing or not what its manifest says
"""

from ...core.errors import HistoryBroken, HmsError, OutsideError, PositionTrimmed


class ArchiveMismatch(HistoryBroken):
    """The archive holds another history than the log: made again, restored from a copy, or another log's."""


class HistoryGap(PositionTrimmed):
    """Records that were asked for are gone from the log and not in the archive; `end` is where history goes on."""

    def __init__(self, topic: str, partition: int, start: int, end: int, why: str = "") -> None:
        super().__init__(topic, partition, start, end)
        reason = why or "the log deleted them before they were archived"
        message = (
            f"{topic}/{partition}: the records from position {start} to below {end} are neither in the log nor in the "
            f"archive ({reason}); expected every one. Restore them from a backup, or begin to read at {end}"
        )
        self.args = (message,)
        self.end = end


class RangeExpired(HistoryGap):
    """Records that were asked for have been deleted by policy; a tombstone in the archive says so."""


class ArchiveFenced(OutsideError):
    """Another owner has written a manifest with a higher epoch: whoever is told so must stop writing this shard."""


class ArchiveDamaged(HmsError):
    """A file of the archive is missing, or not what its manifest says; `hms archive verify` names every one."""
