"""What a commit wrote, in the order in which it wrote it: found again by the ids, which derive from what caused it.

A commit record holds one digest over all that went with it, whatever the topic; the log keeps the order within a
partition only. Each input's events, sends, reply and dead letter stand together, in the order of the inputs; upkeep
(checkpoints, sealed answers) comes last.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from ...core.address import is_participant
from ...core.log.port import CHECKPOINTS, DEAD_LETTERS, LANES, OUTBOX, Log, Stored
from ...core.runtime.records import TIMER_LANE
from ...schemas import derived_id, partition_of
from .journal import Entry, Journal


class Written(NamedTuple):
    """What a shard wrote beside its events; `complete`: nothing of it is gone.

    Messages by the instant of their commit, upkeep by its sequence.
    """

    messages: dict[int, list[Entry]]
    upkeep: dict[int, list[Stored]]
    complete: bool


class Source(NamedTuple):
    """One input of a commit: the actor, and what the ids of its consequences derive from; where answers may go."""

    actor: str
    key: str
    answered: tuple[str, ...]


async def written(log: Log, journal: Journal) -> list[Written]:
    """Collect, in one pass, what every shard wrote beside its events."""
    messages: list[dict[int, list[Entry]]] = [defaultdict(list) for _ in range(log.partitions)]
    complete = True
    for topic in (DEAD_LETTERS, OUTBOX, *LANES):
        for partition in range(log.partitions):
            marks = await log.watermarks(topic, partition)
            complete = complete and marks.start == 0
            async for entry in journal.until({(topic, partition): marks.start}, {(topic, partition): marks.stable}):
                if entry.envelope is not None:
                    own = partition if topic == DEAD_LETTERS else partition_of(entry.envelope.source, log.partitions)
                    messages[own][entry.envelope.at_us].append(entry)
    upkeep = [await _upkeep(log, journal, shard) for shard in range(log.partitions)]
    return [Written(messages[shard], runs, complete and whole) for shard, (runs, whole) in enumerate(upkeep)]


async def _upkeep(log: Log, journal: Journal, shard: int) -> tuple[dict[int, list[Stored]], bool]:
    """Return the runs of checkpoints, each of which ends with the shard's own, and whether none was compacted away."""
    place = (CHECKPOINTS, shard)
    marks = await log.watermarks(*place)
    runs: dict[int, list[Stored]] = {}
    run: list[Stored] = []
    count = 0
    async for entry in journal.until({place: marks.start}, {place: marks.stable}):
        count += 1
        run.append(entry.stored)
        if entry.stored.key == b"shard/%d" % shard and entry.envelope is not None:
            runs[entry.data["sequence"]] = run
            run = []
    return runs, count == marks.stable


def sent_parts(fields: dict[str, Any], inputs: list[Entry | None], events: list[Entry], others: Written) -> list[bytes]:
    """Return keys and values in the order of the commit; a record that no input accounts for is not among them."""
    pool: dict[str, list[Stored]] = defaultdict(list)
    letters = [entry for entry in others.messages.get(fields["now"], ()) if entry.stored.topic == DEAD_LETTERS]
    for entry in (*events, *others.messages.get(fields["now"], ())):
        if entry.envelope is not None and entry.stored.topic != DEAD_LETTERS:
            pool[entry.envelope.id].append(entry.stored)
    found: list[Stored] = []
    for consumed, message in zip(fields["inputs"], inputs, strict=True):
        if consumed["verdict"] == "forwarded" and message is not None:
            found.append(message.stored)
        elif (source := _source(consumed, message)) is not None:
            found += _consequences(source, pool)
        found += _letters(consumed, letters)
    found += others.upkeep.get(fields["sequence"], [])
    return [part or b"" for stored in found for part in (stored.key, stored.value)]


def _source(consumed: dict[str, Any], message: Entry | None) -> Source | None:
    if consumed["lane"] == TIMER_LANE:
        actor = consumed["actor"]
        return Source(actor, derived_id(actor, consumed["timer"], "timer", str(consumed["offset"])), ())
    if message is None or message.envelope is None:
        return None
    envelope = message.envelope
    outside = is_participant(envelope.source)
    key = f"{envelope.source}\0{envelope.id}" if outside else envelope.id
    return Source(envelope.destination, key, tuple(filter(None, (envelope.reply_to, envelope.source))))


def _consequences(source: Source, pool: dict[str, list[Stored]]) -> Iterator[Stored]:
    for kind in ("event", "send"):
        index = 0
        while same := pool.get(derived_id(source.actor, source.key, kind, str(index))):
            yield same.pop(0)
            index += 1
    for destination in dict.fromkeys(source.answered):
        if same := pool.get(derived_id(source.actor, source.key, "reply", destination)):
            yield same.pop(0)


def _letters(consumed: dict[str, Any], letters: list[Entry]) -> Iterator[Stored]:
    """Take the dead letter of this input out of the commit's; a timer's has no place in a lane."""
    timer = consumed["lane"] == TIMER_LANE
    for letter in list(letters):
        place = (letter.data["topic"], letter.data["offset"])
        mine = place[1] < 0 and letter.stored.key == consumed["actor"].encode() if timer else False
        if mine or (not timer and place == (LANES[consumed["lane"]], consumed["offset"])):
            letters.remove(letter)
            yield letter.stored
            return
