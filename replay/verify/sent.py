"""Messages held against what was sent: for commits whose digest cannot be met because their checkpoints are gone.

One pass over the lanes, the outbox and the dead letters, however many commits are in doubt. A message's id derives from what
caused it, so it is found by that; and what was sent at a commit's time by its shard and is not among what would be
sent now is a difference too.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from ...core.log.port import DEAD_LETTERS, LANES, OUTBOX, Stored
from ...core.runtime.divergence import Divergence, Mismatch, same_value, value_mismatch, value_text
from ...core.runtime.records import DeadLetter
from ...schemas import Contract, Envelope, MalformedRecord, partition_of
from ..history import History
from .shard import Doubt

SENT: Final = (DEAD_LETTERS, OUTBOX, *LANES)


class Settled(NamedTuple):
    """What came of doubts: the divergences; how many commits are as they were, and how many can no longer be told."""

    divergences: list[Divergence]
    checked: int
    unchecked: int


async def settle(history: History, contract: Contract, doubts: Sequence[Doubt]) -> Settled:
    """Look up what the commits in doubt sent."""
    lookup = _Lookup(contract, doubts)
    whole = True
    for topic in SENT if doubts else ():
        for partition in range(history.partitions):
            start, end = await history.bounds(topic, partition)
            whole = whole and start == 0
            async for records in history.records(topic, partition, start, end):
                for stored in records:
                    lookup.take(stored, history.partitions)
    return lookup.settled(whole=whole)


class _Lookup:
    def __init__(self, contract: Contract, doubts: Sequence[Doubt]) -> None:
        self._contract = contract
        self._doubts = doubts
        self._wanted = {(doubt.shard, id_): doubt for doubt in doubts for id_ in doubt.messages}
        self._times = {(doubt.shard, doubt.now_us): doubt for doubt in doubts if doubt.alone}
        self._seen: set[tuple[int, str]] = set()
        self._found: list[Divergence] = []

    def take(self, stored: Stored, partitions: int) -> None:
        try:
            envelope = self._contract.envelope_of(stored.value or b"")
        except MalformedRecord:
            return
        shard = stored.partition if stored.topic == DEAD_LETTERS else partition_of(envelope.source, partitions)
        doubt = self._wanted.get((shard, envelope.id))
        if doubt is not None:
            self._seen.add((shard, envelope.id))
            self._compare(doubt, doubt.messages[envelope.id][1], stored, envelope)
        elif (more := self._times.get((shard, envelope.at_us))) is not None:
            text = value_text(stored.value or b"", self._contract)
            self._add(more, envelope, Mismatch("sends", text, "nothing"))

    def settled(self, *, whole: bool) -> Settled:
        unchecked: set[tuple[int, int]] = set()
        for (shard, id_), doubt in self._wanted.items():
            if (shard, id_) in self._seen:
                continue
            if whole:
                value = doubt.messages[id_][1]
                envelope = self._contract.envelope_of(value)
                self._add(doubt, envelope, Mismatch("sends", "nothing", value_text(value, self._contract)))
            else:
                unchecked.add((doubt.shard, doubt.sequence))
        wrong = {(one.shard, one.sequence) for one in self._found}
        missing = unchecked - wrong
        return Settled(self._found, len(self._doubts) - len(missing) - len(wrong), len(missing))

    def _compare(self, doubt: Doubt, mine: bytes, stored: Stored, envelope: Envelope) -> None:
        recorded = stored.value or b""
        if same_value(mine, recorded, self._contract) or self._same_letter(mine, recorded):
            return
        found = value_mismatch("sends", mine, recorded, self._contract)
        self._add(doubt, envelope, found._replace(got=f"{found.got} (to {envelope.destination})"))

    def _same_letter(self, mine: bytes, recorded: bytes) -> bool:
        """Tell whether two dead letters are of one message: how a failure is told depends on who calls."""
        try:
            ours, theirs = self._contract.decode(mine).record, self._contract.decode(recorded).record
        except MalformedRecord:
            return False
        if not (isinstance(ours, DeadLetter) and isinstance(theirs, DeadLetter)):
            return False
        return ours.model_copy(update={"detail": ""}) == theirs.model_copy(update={"detail": ""})

    def _add(self, doubt: Doubt, envelope: Envelope, found: Mismatch) -> None:
        place = (doubt.shard, doubt.sequence, doubt.offset, doubt.now_us, doubt.code_version)
        cause = envelope.causation_id or ""
        self._found.append(Divergence(*place, envelope.source, -1, -1, cause, envelope.type, *found))
