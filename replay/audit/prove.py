"""Makes proofs: finds an event, the tree of its shard, and the smallest checkpoint that covers it."""

from typing import NamedTuple

from ...core.errors import DestinationNotFound
from ...core.log.port import EVENTS, SCHEMAS, Stored
from ...core.runtime.commit_record import SHARD_KEY
from ...schemas import FRAME_BYTES, Contract, MalformedRecord
from ..history import AsOf, History
from ..schemas import learn_schemas
from .commits import Commits, batches
from .errors import NotAProof
from .note import Note
from .proof import Proof, check, event_steps
from .trail import Recorded, Trail, pending
from .tree import consistency, event_hash, inclusion


class Found(NamedTuple):
    """An event, the events of its commit, and the commit record."""

    stored: Stored
    events: list[Stored]
    commit: Stored
    number: int


async def prove(history: History, record_id: str, older: Note | None = None) -> Proof:
    """Return the proof of an event or a commit record, by its id. Raises `DestinationNotFound`, `NotAProof`."""
    as_of = await history.as_of()
    contract = Contract()
    await learn_schemas(history, contract)
    recorded: list[Recorded] = []
    trail = Trail()
    found: Found | None = None
    commits: Commits | None = None
    for shard in range(history.partitions):
        here = Commits(shard)
        one = await _search(history, here, as_of.positions[EVENTS, shard], record_id, contract)
        recorded += trail.of(here.trail)
        if one is not None:
            found, commits = one, here
    if found is None or commits is None:
        raise DestinationNotFound(
            f"no event {record_id} in the history; events and commit records have proofs, a message has one through the event "
            "that it caused (`hms event trace` shows them)"
        )
    recorded += await pending(history, trail, as_of, {})
    least = max(found.number + 1, older.checkpoint.size if older is not None else 0)
    note, keys = _covering(recorded, commits, least)
    proof = await _proof(history, as_of, found, commits, note, keys, older)
    check(proof, None)
    return proof


async def _search(history: History, commits: Commits, end: int, record_id: str, contract: Contract) -> Found | None:
    """Read a shard to its end; return the event, if it is there."""
    wanted = record_id.encode()
    found: Found | None = None
    events: list[Stored] = []
    index = 0
    async for records in batches(history, commits.shard, 0, end):
        commits.take(records)
        for stored in records:
            if not stored.key.startswith(SHARD_KEY):
                events.append(stored)
                continue
            for one in (*events, stored):
                if wanted in (one.value or b"") and _id(contract, one) == record_id:
                    found = Found(one, events, stored, index)
            events = []
            index += 1
    return found


def _id(contract: Contract, stored: Stored) -> str:
    try:
        return contract.envelope_of(stored.value or b"").id
    except MalformedRecord:
        return ""


def _covering(recorded: list[Recorded], commits: Commits, least: int) -> tuple[Note, tuple[str, ...]]:
    """Return the smallest checkpoint that covers so many commits and is right."""
    mine = [one for one in recorded if one.shard == commits.shard and one.note is not None and one.size >= least]
    roots = commits.roots(one.size for one in mine)
    for one in sorted(mine, key=lambda one: one.size):
        if one.note is not None and roots.get(one.size) == one.note.checkpoint.root:
            return one.note, tuple(str(key) for key in one.keys)
    raise NotAProof(
        f"no checkpoint covers commit {least - 1} of shard {commits.shard} yet; nodes sign every five minutes, `hms audit sign` "
        "does so now"
    )


async def _proof(
    history: History,
    as_of: AsOf,
    found: Found,
    commits: Commits,
    note: Note,
    keys: tuple[str, ...],
    older: Note | None,
) -> Proof:
    leaves = list(commits.hashes())[: note.checkpoint.size]
    hashes = [event_hash(one.key, one.value or b"") for one in found.events]
    is_event = found.stored is not found.commit
    at = found.events.index(found.stored) if is_event else 0
    steps, root = event_steps(hashes, at) if hashes else ((), b"\0" * 32)
    return Proof(
        shard=commits.shard,
        position=found.stored.offset,
        key=found.stored.key,
        value=found.stored.value or b"",
        steps=steps if is_event else (),
        commit=found.commit.value or b"",
        events_root=root,
        index=found.number,
        path=tuple(inclusion(leaves, found.number)),
        checkpoint=note.whole,
        keys=keys,
        writer_schema=await _schema(history, as_of, found.stored),
        older=None if older is None else older.whole,
        consistency=_consistency(leaves, note, older),
    )


def _consistency(leaves: list[bytes], note: Note, older: Note | None) -> tuple[bytes, ...]:
    if older is None:
        return ()
    if older.checkpoint.origin != note.checkpoint.origin:
        raise NotAProof(
            f"expected an older checkpoint of {note.checkpoint.origin}, got one of {older.checkpoint.origin}"
        )
    return tuple(consistency(leaves, older.checkpoint.size))


async def _schema(history: History, as_of: AsOf, stored: Stored) -> str:
    """Return the schema of an event, as the log has it."""
    schema_id = str(int.from_bytes((stored.value or b"")[1:FRAME_BYTES], "big")).encode()
    start, _ = await history.bounds(SCHEMAS, 0)
    async for records in history.records(SCHEMAS, 0, start, as_of.positions[SCHEMAS, 0]):
        for one in records:
            if one.key == schema_id:
                return (one.value or b"").decode()
    raise NotAProof(f"the log has no schema {schema_id.decode()}, by which the event could be read")
