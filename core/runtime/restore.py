"""A shard's memory from the log: checkpoints, then the tail from the low-water mark, each commit checked against the chain.

The same fold serves the owner of a shard and those who only look (`hms component list` without a node). It writes
nothing.
"""

from collections.abc import Iterable
from typing import Any

import structlog

from ...schemas import Contract, Event, Unknown, UnknownSchema
from ..errors import HistoryBroken, NodeOutdated
from ..log.port import CHECKPOINTS, EVENTS, Log, Stored
from .actor_table import ActorTable
from .answer_segment import decode_segment
from .cell import Cell
from .checkpoint_record import checkpoint_body, fits, pending_effects, summary_of
from .commit_record import GENESIS, SHARD_KEY, START, Head, commit_fields, commit_sequence, commit_summary, following
from .dedup import AnswerTable, Remembered
from .history import History, records_between
from .installed import Behaviours
from .records import PendingEffect, ShardCheckpoint, TimerSet
from .shard_options import ShardOptions
from .timers import TimerHeap

logger = structlog.get_logger("hms.restore")


class ShardMemory:
    """Everything a shard knows, as of the end of commit `head.sequence`."""

    def __init__(self, shard: int, behaviours: Behaviours, options: ShardOptions, *, owned: bool = False) -> None:
        self.shard = shard
        self.owned = owned
        """Whether it will write: then what this node's code does not know must not be passed over."""
        self.first_sequence_max = 0
        """The first commit that a restore reads is this one or an earlier one: else the log has lost its beginning."""
        self.behaviours = behaviours
        self.actors = ActorTable(behaviours, options.live_actors_max)
        self.answers = AnswerTable(options)
        self.timers = TimerHeap()
        self.head: Head = START
        self.events_end = 0
        """Next offset of `hms.events` after the last commit record."""
        self.epoch = 0
        self.opened_in_vain = 0
        """How many owners in a row opened the shard and committed nothing else."""
        self.attempting: tuple[int, ...] = ()
        self.effects_since: dict[str, int] = {}
        """Of actors that are folded again: the last commit whose effects their checkpoint accounts for."""
        self._with_effects: dict[str, None] = {}

    def pending_effects(self) -> list[tuple[str, PendingEffect]]:
        """Return the effects that were begun and not finished."""
        cells = [self.actors.get(address) for address in self._with_effects]
        return [(cell.address, effect) for cell in cells if cell is not None for effect in cell.effects.values()]

    def note(self, cell: Cell) -> None:
        """Remember the timers and effects that a cell brings along."""
        for timer in cell.timers.values():
            self.timers.add(timer.due_us, cell.address, timer.name, timer.generation)
        if cell.effects:
            self._with_effects[cell.address] = None

    def fold(self, cell: Cell, value: bytes) -> None:
        """Fold one event's wire value into its actor; an `evolve` that raises quarantines this actor only.

        Raises `UnknownSchema`, and for an owner `NodeOutdated`: what this node does not know is no fault of the actor's.
        """
        contract = self.behaviours.contract
        try:
            event = event_of(contract, value)
            cell.fold(event)
        except Exception as error:
            if isinstance(error, UnknownSchema) or (self.owned and isinstance(error, NodeOutdated)):
                raise  # all else a behaviour may raise concerns one actor
            logger.error("actor_quarantined", actor=cell.address, error=repr(error))  # noqa: TRY400 - the repr is enough
            cell.quarantine = f"evolve failed while restoring: {error!r}"
            cell.count += 1
            return
        if type(event) is TimerSet:
            self.timers.add(event.due_us, cell.address, event.name, event.generation)

    def strange(self, address: str, place: str) -> None:
        """Meet an actor without an installed behaviour: whoever only looks passes it over. Raises `NodeOutdated`."""
        if self.owned:
            raise NodeOutdated(
                f"{place}: {address!r} is an actor of a behaviour that this node does not run; to own the shard would lose it. "
                "Start the node with every app that the log holds, and keep behaviours that have actors"
            )

    def begin(self, cell: Cell, value: bytes, begun: dict[str, list[str]]) -> None:
        """Note the effects that the commit of the event just folded began (event id -> handlers)."""
        event_id = self.behaviours.contract.envelope_of(value).id
        if event_id in begun:
            cell.begin_effects(event_id, value, begun[event_id])
            self._with_effects[cell.address] = None


def event_of(contract: Contract, value: bytes) -> Event:
    """Decode an event's body alone. Raises `UnknownSchema`, and `NodeOutdated` for one of a class that is not here."""
    record_type = contract.by_id(int.from_bytes(value[1:5], "big"))
    event: Any = record_type.decode_body(value, 5) if record_type is not None else contract.decode_body(value)
    if isinstance(event, Unknown):
        raise NodeOutdated(
            f"the log holds an event of type {event.type}, which no app of this node knows: start it with the newest code, and "
            "keep the classes of events that were written"
        )
    if not isinstance(event, Event):
        raise TypeError(f"expected an event, got {type(event).__name__}")
    return event


async def restore(
    log: Log, shard: int, behaviours: Behaviours, options: ShardOptions, history: History, *, owned: bool = False
) -> ShardMemory:
    """Return the shard's memory as of the last committed record. Raises `HistoryBroken`, `LogUnreachable`.

    An owner, whose predecessor is fenced off, reads to the high watermark: what a stranger's open transaction hides is waited for.
    Raises for an owner `NodeOutdated`, for others `UnknownSchema`: one that came since they read the schemas.
    """
    memory = ShardMemory(shard, behaviours, options, owned=owned)
    try:
        await _restore(log, memory, history)
    except UnknownSchema as error:
        if not owned:
            raise
        raise HistoryBroken(
            f"shard {shard}: {error}; all of hms.schemas was read after the last owner was fenced off. Run `hms log verify` and "
            "restore a backup"
        ) from error
    memory.actors.passivate()
    return memory


async def _restore(log: Log, memory: ShardMemory, history: History) -> None:
    shard, behaviours, owned = memory.shard, memory.behaviours, memory.owned
    checkpoints = await _newest_checkpoints(log, shard, owned=owned)
    own = f"shard/{shard}".encode()
    shard_checkpoint = _decoded(behaviours.contract, ShardCheckpoint, checkpoints.pop(own, None))
    low_water = shard_checkpoint.low_water if shard_checkpoint is not None else 0
    if shard_checkpoint is not None:
        memory.first_sequence_max = shard_checkpoint.sequence
        _restore_answers(memory, shard_checkpoint, checkpoints, own)
    stale = _restore_actors(memory, checkpoints)
    if stale:
        _take_effects(memory, stale)
        await _fold_again(memory, history, stale, low_water)
    await _fold_tail(log, memory, low_water, owned=owned)
    if owned and shard_checkpoint is not None and memory.head.sequence < shard_checkpoint.sequence:
        raise HistoryBroken(
            f"hms.events/{shard}: expected commit {shard_checkpoint.sequence}, which a checkpoint holds; the last one is "
            f"{memory.head.sequence}: records are missing; run `hms log verify` and restore a backup"
        )


async def _newest_checkpoints(log: Log, shard: int, *, owned: bool) -> dict[bytes, bytes]:
    newest: dict[bytes, bytes] = {}
    marks = await log.watermarks(CHECKPOINTS, shard)
    position, end = marks.start, marks.high if owned else marks.stable
    while position < end:
        async for records in records_between(log, CHECKPOINTS, shard, position, end):
            for stored in records:
                if stored.value is None:
                    newest.pop(stored.key, None)
                else:
                    newest[stored.key] = stored.value
        # Compaction under a looker may have dropped a value whose newer one lies behind `end`: read until that stands.
        position, end = end, end if owned else (await log.watermarks(CHECKPOINTS, shard)).stable
    return newest


def _decoded(contract: Contract, cls: type[Any], value: bytes | None) -> Any:
    if value is None:
        return None
    record_type = contract.of(cls)
    return record_type.decode_body(value, 5) if value[:5] == record_type.frame else contract.decode_body(value)


def _restore_answers(
    memory: ShardMemory, checkpoint: ShardCheckpoint, checkpoints: dict[bytes, bytes], own: bytes
) -> None:
    memory.answers.refused_before_us = list(checkpoint.refused_before_us)
    memory.answers.forgotten_at_us = checkpoint.forgotten_at_us
    memory.answers.sealed_sequence = checkpoint.answers_sequence
    for number in checkpoint.segments:
        value = checkpoints.get(own + b"/answers/%d" % number)
        if value is not None:
            memory.answers.restore_segment(number, decode_segment(memory.behaviours.contract, value))
        elif memory.owned:
            raise HistoryBroken(
                f"hms.checkpoints/{memory.shard}: expected the answers {own.decode()}/answers/{number}, which the shard's "
                "checkpoint lists, found none: what they answer would be done twice; run `hms log verify` and restore a backup"
            )


def _restore_actors(memory: ShardMemory, checkpoints: dict[bytes, bytes]) -> dict[str, dict[str, Any]]:
    """Take the actors' checkpoints in; return the summaries of those whose state other code made, by address."""
    stale: dict[str, dict[str, Any]] = {}
    contract = memory.behaviours.contract
    for key, value in checkpoints.items():
        if key.startswith(SHARD_KEY):
            continue
        address = key.decode()
        installed = memory.behaviours.of(address)
        if installed is None:
            memory.strange(address, f"hms.checkpoints/{memory.shard}")
            continue
        body = checkpoint_body(contract, value)
        summary = summary_of(body)
        if not fits(summary, installed):
            stale[address] = summary
            continue
        memory.actors.put_packed(address, body)
        if summary["timers"] or summary["effects"]:
            cell = memory.actors.get(address)
            if cell is not None:
                memory.note(cell)
    return stale


async def _fold_again(memory: ShardMemory, history: History, stale: Iterable[str], low_water: int) -> None:
    """Fold the actors whose behaviour has changed from their first event, in one pass for all of them."""
    cells = {address.encode(): cell for address in stale if (cell := memory.actors.get(address)) is not None}
    pending: list[tuple[Cell, bytes]] = []
    async for records in history.events(memory.shard, low_water):
        for stored in records:
            if stored.key.startswith(SHARD_KEY):
                _fold_commit_again(memory, pending, stored)
            elif (cell := cells.get(stored.key)) is not None:
                pending.append((cell, stored.value or b""))
    for address in stale:
        memory.actors.mark_dirty(address, low_water)


def _take_effects(memory: ShardMemory, stale: dict[str, dict[str, Any]]) -> None:
    """Take what was pending from the checkpoints of actors that are folded again: a fold begins nothing in the world."""
    for address, summary in stale.items():
        cell = memory.actors.get(address)
        if cell is not None:
            cell.effects = pending_effects(summary)
            memory.effects_since[address] = summary["sequence"]
            memory.note(cell)


def _fold_commit_again(memory: ShardMemory, pending: list[tuple[Cell, bytes]], stored: Stored) -> None:
    if not pending:
        return
    sequence = commit_sequence(stored.value or b"")
    for cell, value in pending:
        memory.fold(cell, value)
        cell.sequence = sequence
    pending.clear()


async def _fold_tail(log: Log, memory: ShardMemory, low_water: int, *, owned: bool) -> None:
    marks = await log.watermarks(EVENTS, memory.shard)
    transaction: list[Stored] = []
    async for records in records_between(log, EVENTS, memory.shard, low_water, marks.high if owned else marks.stable):
        for stored in records:
            transaction.append(stored)
            if stored.key.startswith(SHARD_KEY):
                fold_transaction(memory, transaction)
                transaction = []


def fold_transaction(memory: ShardMemory, transaction: list[Stored]) -> None:
    """Fold one transaction's events (its commit record is the last) into the shard's memory."""
    last = transaction[-1]
    value = last.value or b""
    fields = commit_summary(memory.behaviours.contract, value)
    place = f"hms.events/{memory.shard}@{last.offset}"
    if memory.head.sequence < 0:
        _check_beginning(memory, fields, place)
    memory.head = following(memory.head, fields, value, place)
    sequence = memory.head.sequence
    first = transaction[0].offset
    begun: dict[str, list[str]] = {}
    for effect in fields["begun"]:
        begun.setdefault(effect["event"], []).append(effect["handler"])
    for cell in _fold_events(memory, transaction, sequence, begun):
        cell.sequence = sequence
        memory.actors.mark_dirty(cell.address, first)
    if sequence > memory.answers.sealed_sequence:
        _take_answers(memory, commit_fields(memory.behaviours.contract, value)["inputs"], sequence, first)
    if fields["epoch"] != memory.epoch:
        memory.opened_in_vain += 1
    elif not fields["attempting"]:
        memory.opened_in_vain = 0
    memory.attempting = tuple(fields["attempting"])
    memory.epoch = fields["epoch"]
    memory.events_end = last.offset + 1


def _fold_events(
    memory: ShardMemory, transaction: list[Stored], sequence: int, begun: dict[str, list[str]]
) -> Iterable[Cell]:
    """Fold what the actors do not hold yet, and note the effects that it began; return the actors that were folded."""
    folded: dict[bytes, Cell] = {}
    for stored in transaction[:-1]:
        cell = folded.get(stored.key) or memory.actors.get(stored.key.decode())
        if cell is None:
            memory.strange(stored.key.decode(), f"hms.events/{memory.shard}@{stored.offset}")
        elif cell.sequence < sequence:
            memory.fold(cell, stored.value or b"")
            folded[stored.key] = cell
            if begun and memory.effects_since.get(cell.address, -1) < sequence:
                memory.begin(cell, stored.value or b"", begun)
    return folded.values()


def _check_beginning(memory: ShardMemory, fields: dict[str, Any], place: str) -> None:
    """Check that a chain begins with commit 0; a tail behind a checkpoint, with the commit that wrote it at the latest.

    Else the topic was made anew, or cut off, under a shard that wrote on.
    """
    sequence = fields["sequence"]
    if sequence > memory.first_sequence_max or (sequence == 0 and fields["previous"] != GENESIS):
        raise HistoryBroken(
            f"{place}: expected the first commit to be {memory.first_sequence_max} or an earlier one, got {sequence} after "
            f"{fields['previous'].hex()[:16]}: what was before it is missing; run `hms log verify` and restore a backup"
        )


def _take_answers(memory: ShardMemory, inputs: list[dict[str, Any]], sequence: int, first: int) -> None:
    for given in inputs:
        if given["source"]:
            answer = Remembered(*(given[name] for name in Remembered._fields))
            memory.answers.remember(answer, sequence, first)
