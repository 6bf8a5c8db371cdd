"""Replay is exact: the recorded inputs in their recorded order, through the same code, must give the same events.

Reads only. Each commit record's inputs are fetched from their lanes and decided upon again at the recorded time; what
comes out is held, byte for byte, against what the commit wrote.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...schemas import UnknownSchema
from ..errors import HistoryBroken
from ..log.port import EVENTS, LANES, Log, Stored
from .care import DEATHS_MAX, timer_code
from .commit_record import SHARD_KEY, commit_fields, digest, following
from .history import records_between
from .inbound import Inbound, decode, unreadable
from .input_record import encode_again
from .installed import Behaviours
from .records import TIMER_LANE
from .restore import ShardMemory
from .shard_options import ShardOptions
from .turn import Turn


class Difference(NamedTuple):
    """Where a replay and the record part: in which commit, what was recorded, what came out."""

    shard: int
    sequence: int
    what: str


class Transaction(NamedTuple):
    """One commit as the log holds it: its events, its commit record's fields, value and place."""

    events: list[Stored]
    fields: dict[str, Any]
    record: Stored


async def transactions(log: Log, shard: int, behaviours: Behaviours, start: int = 0) -> list[Transaction]:
    """Return a shard's visible commits from an offset of `hms.events` on, in order."""
    end = (await log.watermarks(EVENTS, shard)).stable
    found: list[Transaction] = []
    events: list[Stored] = []
    async for records in records_between(log, EVENTS, shard, start, end):
        for stored in records:
            if stored.key.startswith(SHARD_KEY):
                found.append(Transaction(events, commit_fields(behaviours.contract, stored.value or b""), stored))
                events = []
            else:
                events.append(stored)
    if events:
        raise HistoryBroken(
            f"hms.events/{shard}@{events[0].offset}: expected a commit record behind every event, found none"
        )
    return found


async def replay_shard(
    log: Log, shard: int, behaviours: Behaviours, options: ShardOptions, history: Sequence[Transaction] | None = None
) -> list[Difference]:
    """Decide a shard's whole history (if read already: these transactions) again; return where it differs, if anywhere."""
    lanes = [await _lane(log, topic, shard) for topic in LANES]
    memory = ShardMemory(shard, behaviours, options)
    differences: list[Difference] = []
    attempting: tuple[int, ...] = ()  # what an owner found announced when it opened the shard
    epoch = 0
    for transaction in await transactions(log, shard, behaviours) if history is None else history:
        fields = transaction.fields
        memory.head = following(memory.head, fields, transaction.record.value or b"", f"shard {shard}")
        turn = Turn(
            shard,
            log.partitions,
            behaviours,
            memory.actors,
            memory.answers,
            options,
            fields["now"],
            headers=log.capabilities.headers,
        )
        for given in fields["inputs"]:
            _again(turn, given, lanes, behaviours, attempting)
        differences += [Difference(shard, fields["sequence"], what) for what in _compare(turn, transaction)]
        for answer in turn.new_answers.values():
            memory.answers.remember(answer, fields["sequence"], 0)
        if fields["epoch"] != epoch:
            attempting = tuple(fields["attempting"])
        elif fields["attempting"] or fields["inputs"]:
            attempting = ()
        epoch = fields["epoch"]
    return differences


async def _lane(log: Log, topic: str, shard: int) -> dict[int, Stored]:
    marks = await log.watermarks(topic, shard)
    found: dict[int, Stored] = {}
    # With headers, as the shard read them: one that differs from its envelope makes a message malformed.
    async for records in records_between(log, topic, shard, marks.start, marks.stable, headers=True):
        found.update((stored.offset, stored) for stored in records)
    return found


def _again(
    turn: Turn,
    given: dict[str, Any],
    lanes: list[dict[int, Stored]],
    behaviours: Behaviours,
    attempting: tuple[int, ...],
) -> None:
    lane, offset = given["lane"], given["offset"]
    if lane == TIMER_LANE:
        place: tuple[int, ...] = (lane, offset, timer_code(given["actor"], given["timer"]))
        turn.fire(given["actor"], given["timer"], offset, killer=attempting == (*place, DEATHS_MAX))
        return
    inbound = _inbound(behaviours, lane, lanes[lane][offset])
    if attempting == (lane, offset, 0, DEATHS_MAX):
        turn.kill(inbound, "")
    else:
        turn.handle(inbound)


def _inbound(behaviours: Behaviours, lane: int, stored: Stored) -> Inbound:
    try:
        return decode(behaviours.contract, lane, stored)
    except UnknownSchema as error:
        return unreadable(lane, stored, error)


def _compare(turn: Turn, transaction: Transaction) -> list[str]:
    fields = transaction.fields
    events = [draft.value for draft in turn.drafts if draft.topic == EVENTS]
    recorded = [stored.value for stored in transaction.events]
    found: list[str] = []
    if turn.inputs != [encode_again(given) for given in fields["inputs"]]:
        found.append(f"expected the inputs {fields['inputs']}, got the bytes {turn.inputs}")
    if events != recorded:
        found.append(f"expected {len(recorded)} events {recorded}, got {len(events)}: {events}")
    if digest(turn.read) != fields["digest_read"]:
        found.append("the messages in the lanes are not the ones that were read")
    return found
