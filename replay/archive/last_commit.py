"""The last commit of a shard in its log: who owned it, and how far its chain goes."""

from typing import NamedTuple

from ...core.errors import HistoryBroken
from ...core.log.port import EVENTS, Log
from ...core.runtime.commit_record import SHARD_KEY, commit_summary
from ...core.runtime.records import Commit
from ...schemas import Contract, MalformedRecord


class LastCommit(NamedTuple):
    """Its sequence and its epoch; -1 and 0 where there is none."""

    sequence: int
    epoch: int


async def last_commit(log: Log, shard: int) -> LastCommit:
    """Return the last visible commit; whoever owns the shard now has its epoch or a newer one."""
    marks = await log.watermarks(EVENTS, shard)
    back = 1
    while (position := max(marks.start, marks.stable - back)) < marks.stable:
        read = await log.read(EVENTS, shard, position, records_max=max(back, 500), headers=False)
        for stored in reversed(read.records):
            if stored.key.startswith(SHARD_KEY):
                return _decoded(stored.value or b"", shard)
        if position == marks.start and read.position >= marks.stable:
            break
        back *= 4
    return LastCommit(-1, 0)


def _decoded(value: bytes, shard: int) -> LastCommit:
    contract = Contract()
    contract.register(Commit, str(Commit.explicit_type))
    try:
        fields = commit_summary(contract, value)
    except MalformedRecord as error:
        raise HistoryBroken(f"shard {shard}: expected a commit record at the end of its events, got {error}") from error
    return LastCommit(fields["sequence"], fields["epoch"])
