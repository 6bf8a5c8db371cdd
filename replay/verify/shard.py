"""One shard verified: its commits in order, in bounded memory, the first divergence of each actor kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ...core.log.port import EVENTS, LANES
from ...core.runtime.commit_record import digest
from ...core.runtime.commits import Inputs, Transaction, commits
from ...core.runtime.divergence import Divergence
from ...core.runtime.installed import Behaviours
from ...core.runtime.replayer import Outcome, Replayer, Unsure
from ...core.runtime.shard_options import ShardOptions
from ..history import History
from .upkeep import Upkeep

ACTORS_NAMED_MAX: Final = 10_000
DOUBT_BYTES_MAX: Final = 64_000_000


class Doubt(NamedTuple):
    """What a commit would send now, whose digest cannot be met: to be looked up among what was sent (id -> key, value)."""

    shard: int
    sequence: int
    offset: int
    now_us: int
    code_version: str
    messages: dict[str, tuple[bytes, bytes]]
    alone: bool
    """Whether no other commit of the shard has its time: then what was sent at that time is its own."""


@dataclass
class ShardVerification:
    """What was found in one shard; `divergences` are the first of each actor, of the first 10,000 that diverge.

    `diverged_versions` are the code versions that recorded what diverges.
    `sends_checked` and `sends_unchecked` count commits: what went out with them is as it was, or can no longer be told.
    """

    shard: int
    commits: int = 0
    commits_skipped: int = 0
    inputs: int = 0
    sends_checked: int = 0
    sends_unchecked: int = 0
    divergence_count: int = 0
    divergences: dict[str, Divergence] = field(default_factory=dict)
    diverged_versions: set[str] = field(default_factory=set)
    doubts: list[Doubt] = field(default_factory=list)

    def add(self, divergence: Divergence) -> None:
        """Take a divergence in."""
        self.divergence_count += 1
        self.diverged_versions.add(divergence.code_version)
        if len(self.divergences) < ACTORS_NAMED_MAX or divergence.actor in self.divergences:
            first = self.divergences.setdefault(divergence.actor, divergence)
            if divergence.sequence < first.sequence:
                self.divergences[divergence.actor] = divergence


class Ends(NamedTuple):
    """How far a verification goes: the next offset of `hms.events`, and of each lane."""

    events: int
    lanes: tuple[int, ...]


async def ends_of(history: History, shard: int) -> Ends:
    """Return where a shard ends now; the lanes after the events, so that what these consumed is there."""
    _, events = await history.bounds(EVENTS, shard)
    return Ends(events, tuple([(await history.bounds(topic, shard))[1] for topic in LANES]))


async def verify_shard(
    history: History, behaviours: Behaviours, shard: int, options: ShardOptions, *, since_us: int = 0
) -> ShardVerification:
    """Decide a shard's inputs again, from an instant on, and return what differs."""
    ends = await ends_of(history, shard)
    headers = history.log is None or history.log.capabilities.headers
    replayer = Replayer(shard, history.partitions, behaviours, options, headers=headers)
    inputs = Inputs(history, shard, ends.lanes)
    upkeep = Upkeep(history.log, behaviours.contract, shard)
    tally = Tally(ShardVerification(shard), behaviours)
    async for transaction in commits(history, shard, behaviours.contract, 0, ends.events):
        if transaction.fields["now"] < since_us:
            replayer.skip(transaction)
            tally.found.commits_skipped += 1
            continue
        outcome = replayer.replay(transaction, await inputs.of(transaction.fields))
        run = [] if outcome.unsure is None else await upkeep.of(transaction.fields["sequence"])
        for divergence in tally.take(transaction, outcome, [(stored.key, stored.value) for stored in run]):
            tally.found.add(divergence)
    await inputs.close()
    return tally.found


Run = Sequence[tuple[bytes, bytes | None]]
"""Keys and values of the checkpoints that went with a commit."""


class Tally:
    """Counts what a shard's commits came to, and settles what they sent as far as the shard alone can."""

    def __init__(self, found: ShardVerification, behaviours: Behaviours) -> None:
        self.found = found
        self._contract = behaviours.contract
        self._doubt_bytes = 0
        self._now_us = -1

    def take(self, transaction: Transaction, outcome: Outcome, run: Run) -> list[Divergence]:
        """Take a commit's outcome in; return its divergences."""
        found, fields = self.found, transaction.fields
        found.commits += 1
        found.inputs += len(fields["inputs"])
        shared = self._share_time(fields["now"])
        if not outcome.divergences:
            if outcome.unsure is None or _met(outcome.unsure, run):
                found.sends_checked += 1
            elif fields["inputs"]:
                self._doubt(outcome.unsure, alone=not shared)
            else:
                found.sends_unchecked += 1
        return outcome.divergences

    def _share_time(self, now_us: int) -> bool:
        """Tell whether the commit before has the same time; then neither is alone."""
        shared, self._now_us = now_us == self._now_us, now_us
        doubts = self.found.doubts
        if shared and doubts and doubts[-1].now_us == now_us:
            doubts[-1] = doubts[-1]._replace(alone=False)
        return shared

    def _doubt(self, unsure: Unsure, *, alone: bool) -> None:
        size = sum(len(draft.key) + len(draft.value or b"") for draft in unsure.sent)
        if self._doubt_bytes + size > DOUBT_BYTES_MAX:
            self.found.sends_unchecked += 1
            return
        self._doubt_bytes += size
        contract, fields = self._contract, unsure.transaction.fields
        messages = {
            contract.envelope_of(draft.value or b"").id: (draft.key, draft.value or b"") for draft in unsure.sent
        }
        place = (self.found.shard, fields["sequence"], unsure.transaction.record.offset)
        self.found.doubts.append(Doubt(*place, fields["now"], fields["code_version"], messages, alone))


def _met(unsure: Unsure, run: Run) -> bool:
    """Tell whether the digest is met by what is sent now and these checkpoints."""
    parts = [part or b"" for one in run for part in one]
    return bool(digest([*unsure.parts, *parts]) == unsure.transaction.fields["digest_sent"])
