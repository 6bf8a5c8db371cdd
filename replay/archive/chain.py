"""The chain of commits, followed while records go by: a dense sequence and hashes that fit prove that none is missing."""

import hashlib
from collections.abc import Iterable

from ...core.log.port import EVENTS, Stored
from ...core.runtime.commit_record import GENESIS, SHARD_KEY, commit_summary
from ...core.runtime.records import Commit
from ...schemas import Contract, MalformedRecord
from .errors import ArchiveMismatch
from .manifest import Anchor, Link


class Chain:
    """The commits of one shard, as far as they were seen; `link` is the last one.

    Without a link the first commit that comes is taken as it is, unless it says that it is the very first.
    """

    def __init__(self, shard: int, link: Link | None) -> None:
        self.link = link
        self.count = 0
        self.epoch = 0
        self._shard = shard
        self._contract = Contract()
        self._contract.register(Commit, str(Commit.explicit_type))

    def follow(self, records: Iterable[Stored]) -> None:
        """Take the events of the shard that come next; raises `ArchiveMismatch` at the first that does not follow."""
        for stored in records:
            if stored[4].startswith(SHARD_KEY) and stored[0] == EVENTS:
                self._take(stored)

    def _take(self, stored: Stored) -> None:
        place = f"{stored.topic}/{stored.partition}@{stored.offset}"
        value = stored.value or b""
        try:
            fields = commit_summary(self._contract, value)
        except MalformedRecord as error:
            raise ArchiveMismatch(f"{place}: expected a commit record, got {error}") from error
        self._check(fields["sequence"], fields["previous"].hex(), place)
        digest = hashlib.sha256(value).hexdigest()
        self.link = Link(sequence=fields["sequence"], sha256=digest, position=stored.offset, now_us=fields["now"])
        self.epoch = fields["epoch"]
        self.count += 1

    def _check(self, sequence: int, previous: str, place: str) -> None:
        if self.link is None and sequence > 0:
            return
        expected = (0, GENESIS.hex()) if self.link is None else (self.link.sequence + 1, self.link.sha256)
        if (sequence, previous) != expected:
            raise ArchiveMismatch(
                f"{place}: expected commit {expected[0]} after {expected[1][:16]}, got commit {sequence} after "
                f"{previous[:16]}: the log is not the one that was archived (a topic deleted and made again, a log restored "
                "from an older copy), or records are missing. Compare both (hms archive verify, hms log verify), then go on "
                "with another archive (hms archive run --anew), or restore the log from this one (hms archive restore)"
            )


def anchor_of(stored: Stored) -> Anchor:
    """Return what identifies a record later on: its key and value, not its time, which a copy may have changed."""
    return Anchor(position=stored.offset, sha256=hashlib.sha256(stored.key + b"\0" + (stored.value or b"")).hexdigest())
