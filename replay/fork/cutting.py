"""A causally closed cut of a log, taken out: all that had happened by then, and what was under way.

In it are: each shard's commits up to its point; the messages that these consumed; those that were sent in it and not
consumed yet, so that no send is lost; and what had come from outside by then. Checkpoints are left out: the fork folds
its actors from their first events.
"""

from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from ...core.address import is_participant
from ...core.errors import ValidationFailed
from ...core.log.port import DEAD_LETTERS, EVENTS, LANES, OUTBOX, SCHEMAS, Stored
from ...core.runtime.cause import EFFECT_SOURCE
from ...core.runtime.fitness import APPS_SETTING
from ...core.runtime.records import RUNTIME_RECORDS
from ...schemas import Contract, Envelope, MalformedRecord, partition_of
from ..history import History, Place
from ..past.cut import Cut, cut_at
from ..schemas import learn_schemas

RECORDS_MAX: Final = 3_000_000
"""A fork is in memory while it runs: about a kilobyte each."""


class Piece(NamedTuple):
    """A partition of the cut: its records, and the next offset."""

    records: list[Stored]
    high: int


class Taken(NamedTuple):
    """A cut with its records; `outside` is what came from outside later and was handled, oldest first: the recorded inputs."""

    cut: Cut
    partitions: int
    pieces: dict[Place, Piece]
    outside: list[Stored]
    apps: str | None


async def take(history: History, at_us: int, until_us: int) -> Taken:
    """Read the cut of an instant, and what came from outside after it and was handled up to another."""
    contract = Contract()
    for record in RUNTIME_RECORDS:
        contract.register(record, str(record.explicit_type))
    await learn_schemas(history, contract)
    cut = await cut_at(history, at_us)
    taking = _Taking(history, contract, cut, await cut_at(history, until_us))
    for place in history.places((SCHEMAS, EVENTS, *LANES, OUTBOX, DEAD_LETTERS)):
        await taking.place(place)
    taking.outside.sort(key=lambda one: (one.at_us, one.topic, one.partition, one.offset))
    apps = None if history.log is None else await history.log.get_setting(APPS_SETTING)
    return Taken(cut, history.partitions, taking.pieces, taking.outside, apps)


def from_its_beginning(taken: Taken) -> Taken:
    """Return a cut from before the log's first commit as one of the first input: an empty log need not live for years."""
    if any(point.now_us >= 0 for point in taken.cut.points.values()) or not taken.outside:
        return taken
    first_us = max(taken.cut.at_us, taken.outside[0].at_us - 1)
    return taken._replace(cut=taken.cut._replace(at_us=first_us))


class _Taking:
    def __init__(self, history: History, contract: Contract, cut: Cut, until: Cut) -> None:
        self._history = history
        self._contract = contract
        self._cut = cut
        self._until = until
        self._count = 0
        self.pieces: dict[Place, Piece] = {}
        self.outside: list[Stored] = []

    async def place(self, place: Place) -> None:
        """Take one partition."""
        topic, partition = place
        kept = [stored async for stored in self._records(place) if self._is_in(stored)]
        self._count += len(kept)
        if self._count > RECORDS_MAX:
            raise ValidationFailed(
                f"a fork is in memory while it runs: expected at most {RECORDS_MAX:,} records up to the cut, got more"
            )
        consumed = self._cut.points[partition].positions[LANES.index(topic)] if topic in LANES else 0
        high = max(consumed, kept[-1].offset + 1 if kept else 0)
        self.pieces[place] = Piece(kept, high)

    async def _records(self, place: Place) -> AsyncIterator[Stored]:
        start, end = await self._history.bounds(*place)
        if place[0] == EVENTS:
            end = self._cut.points[place[1]].end
        async for records in self._history.records(*place, start, end, headers=True):
            for stored in records:
                yield stored

    def _is_in(self, stored: Stored) -> bool:
        """Tell whether a record is in the cut; note what comes from outside after it."""
        point = self._cut.points[stored.partition]
        match stored.topic:
            case topic if topic in (SCHEMAS, EVENTS):
                return True
            case topic if topic in LANES and stored.offset < point.positions[LANES.index(topic)]:
                return True
        envelope = self._envelope(stored)
        if stored.topic == DEAD_LETTERS:
            return envelope is not None and envelope.at_us <= point.now_us
        if envelope is not None and not _is_outside(envelope):
            sender = partition_of(envelope.source, self._history.partitions)
            return envelope.at_us <= self._cut.points[sender].now_us
        if stored.at_us <= self._cut.at_us:
            return True
        if (
            stored.topic in LANES
            and stored.offset < self._until.points[stored.partition].positions[LANES.index(stored.topic)]
        ):
            self.outside.append(stored)
        return False

    def _envelope(self, stored: Stored) -> Envelope | None:
        try:
            return self._contract.envelope_of(stored.value or b"")
        except MalformedRecord:
            return None


def _is_outside(envelope: Envelope) -> bool:
    """Tell whether nobody in the fork will send it: clients, agents, and effects, which do not run there."""
    return is_participant(envelope.source) or envelope.source.startswith(EFFECT_SOURCE)
