"""A shard's recorded inputs decided upon again, in their recorded order, at the recorded times.

In lock-step, the actors go on from what was recorded, whatever comes out: each input is judged on the state that it met,
and one that is decided otherwise does not drag all later ones along. Free-running, they go on from what comes out.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...schemas import FRAME_BYTES, UnknownSchema, derived_id
from ..log.port import EVENTS, Draft, Stored
from . import verdict as verdicts
from .care import DEATHS_MAX, KILLED, timer_code
from .cell import Cell
from .commit_record import digest, following
from .commits import Transaction
from .dedup import Remembered
from .divergence import Divergence, Mismatch, events_mismatch, same_value, shown, verdict_mismatch
from .inbound import Inbound, decode, unreadable
from .input_record import encode_again, encode_array
from .installed import Behaviours
from .records import TIMER_LANE, Commit
from .replay_step import Recorded, Step
from .restore import ShardMemory, fold_transaction
from .shard_options import ShardOptions
from .turn import Turn
from .wire import Pen


class Unsure(NamedTuple):
    """What a commit sends now, where the digest of what it sent cannot be met without its upkeep, or at all."""

    transaction: Transaction
    sent: list[Draft]
    parts: list[bytes]
    """Keys and values, in order; the commit's checkpoints, if it wrote any, followed them."""


class Outcome(NamedTuple):
    """What became of one commit: divergences, at most one an input, in order."""

    divergences: list[Divergence]
    unsure: Unsure | None


_Before = tuple[Any, int, int, int, dict[str, Any], dict[str, Any], str]
"""A cell as it was, to go back to: state, count, sequence, generation, timers, effects, quarantine."""


class Replayer:
    """Of one shard, from its first commit on; `memory` is what the shard knew after the last one replayed."""

    def __init__(
        self,
        shard: int,
        partitions: int,
        behaviours: Behaviours,
        options: ShardOptions,
        *,
        headers: bool = True,
        lockstep: bool = True,
        partial: bool = False,
    ) -> None:
        """Make it; `partial`: of some of the shard's actors only, so neither the chain nor the digests can hold."""
        self._partial = partial
        self.memory = ShardMemory(shard, behaviours, options)
        self._shard = shard
        self._partitions = partitions
        self._behaviours = behaviours
        self._contract = behaviours.contract
        self._options = options
        self._headers = headers
        self._lockstep = lockstep
        self._epoch = 0
        self._attempting: tuple[int, ...] = ()
        """What an owner found announced when it opened the shard."""

    def skip(self, transaction: Transaction) -> None:
        """Take a commit as recorded, without deciding anything."""
        fold_transaction(self.memory, [*transaction.events, transaction.record])
        self._note_attempts(transaction.fields)

    def replay(self, transaction: Transaction, inputs: Sequence[Stored | None]) -> Outcome:
        """Decide a commit's inputs again; afterwards hold what comes out against the record."""
        fields, memory = transaction.fields, self.memory
        if not self._partial:
            memory.head = following(memory.head, fields, transaction.record.value or b"", f"shard {self._shard}")
        inbounds = [self._inbound(given, stored) for given, stored in zip(fields["inputs"], inputs, strict=True)]
        turn, found = self._at_once(transaction, inbounds) if self._lockstep else self._freely(transaction, inbounds)
        if not self._partial and digest(turn.read) != fields["digest_read"]:
            found.append(
                self._of_commit(transaction, "digest_read", fields["digest_read"].hex(), digest(turn.read).hex())
            )
        self._take_answers(fields, turn, as_recorded=bool(found) and self._lockstep)
        self._note_attempts(fields)
        for address in turn.touched:
            turn.touched[address].sequence = fields["sequence"]
        memory.actors.passivate()
        return Outcome(found, None if found else self._unsure(turn, transaction))

    # --- deciding -----------------------------------------------------------------------------------------------

    def _turn(self, now_us: int) -> Turn:
        memory = self.memory
        return Turn(
            self._shard,
            self._partitions,
            self._behaviours,
            memory.actors,
            memory.answers,
            self._options,
            now_us,
            headers=self._headers,
        )

    def _inbound(self, given: dict[str, Any], stored: Stored | None) -> Inbound | None:
        """Decode a message as its shard did; None for a timer."""
        if stored is None:
            return None
        if given["verdict"] == verdicts.MALFORMED:
            schema_id = int.from_bytes((stored.value or b"")[1:5], "big")
            if self._contract.by_id(schema_id) is None:
                return unreadable(given["lane"], stored, UnknownSchema(schema_id))  # it may have come later
        try:
            return decode(self._contract, given["lane"], stored)
        except UnknownSchema as error:
            return unreadable(given["lane"], stored, error)

    def _at_once(self, transaction: Transaction, inbounds: Sequence[Inbound | None]) -> tuple[Turn, list[Divergence]]:
        """Decide all of a commit; only if something of it differs, again, one input by one."""
        turn = self._turn(transaction.fields["now"])
        before: dict[str, _Before | None] = {}
        for given, inbound in zip(transaction.fields["inputs"], inbounds, strict=True):
            self._decide(turn, given, inbound, before)
        if self._is_recorded(turn, transaction):
            return turn, []
        self._go_back(before)
        again, found = self._one_by_one(transaction, inbounds)
        if not found and self._is_recorded(again, transaction):
            found = [self._of_commit(transaction, "decide", "the same each time", "another outcome the second time")]
        return again, found

    def _freely(self, transaction: Transaction, inbounds: Sequence[Inbound | None]) -> tuple[Turn, list[Divergence]]:
        """Decide all of a commit and leave the actors as they are then."""
        turn = self._turn(transaction.fields["now"])
        pairs = zip(transaction.fields["inputs"], inbounds, strict=True)
        steps = [self._step(turn, given, inbound, {}) for given, inbound in pairs]
        return turn, [] if self._is_recorded(turn, transaction) else self._judged(transaction, steps)

    def _step(
        self, turn: Turn, given: dict[str, Any], inbound: Inbound | None, before: dict[str, _Before | None]
    ) -> Step:
        drafts, consumed, begun = len(turn.drafts), len(turn.inputs), len(turn.begun_effects)
        actor = self._decide(turn, given, inbound, before)
        input_ = turn.inputs[consumed] if len(turn.inputs) > consumed else None
        return Step(given, inbound, actor, input_, turn.drafts[drafts:], turn.begun_effects[begun:])

    def _decide(
        self, turn: Turn, given: dict[str, Any], inbound: Inbound | None, before: dict[str, _Before | None]
    ) -> str:
        """Decide one input, keeping what its actor was; return whose it is."""
        actor: str = given["actor"] or (
            inbound.envelope.destination if inbound is not None and inbound.envelope else ""
        )
        if actor and actor not in before and self._lockstep:
            before[actor] = self._snapshot(actor)
        if inbound is None:
            place = (TIMER_LANE, given["offset"], timer_code(actor, given["timer"]))
            turn.fire(actor, given["timer"], given["offset"], killer=self._attempting == (*place, DEATHS_MAX))
        elif self._attempting == (given["lane"], given["offset"], 0, DEATHS_MAX):
            turn.kill(inbound, KILLED)
        else:
            turn.handle(inbound)
        return actor

    def _one_by_one(
        self, transaction: Transaction, inbounds: Sequence[Inbound | None]
    ) -> tuple[Turn, list[Divergence]]:
        """Decide a commit's inputs once more, putting each actor right after each that came out otherwise."""
        recorded = Recorded(transaction, self._behaviours)
        turn = self._turn(transaction.fields["now"])
        found: list[Divergence] = []
        for given, inbound in zip(transaction.fields["inputs"], inbounds, strict=True):
            before: dict[str, _Before | None] = {}
            step = self._step(turn, given, inbound, before)
            events = recorded.of(step)
            mismatch = self._mismatch(step, events, recorded.begun)
            if mismatch is not None:
                found.append(self._divergence(transaction, step, mismatch))
                self._go_back(before)
                if error := self._fold_recorded(step.actor, events, recorded.begun):
                    found.append(
                        self._divergence(transaction, step, Mismatch("evolve", "the recorded events fold", error))
                    )
                _remember(turn, given)
        return turn, found + self._left_over(transaction, recorded)

    def _judged(self, transaction: Transaction, steps: Sequence[Step]) -> list[Divergence]:
        """Compare each input's outcome with the record, and leave the actors as they are."""
        recorded = Recorded(transaction, self._behaviours)
        found: list[Divergence] = []
        for step in steps:
            mismatch = self._mismatch(step, recorded.of(step), recorded.begun)
            if mismatch is not None:
                found.append(self._divergence(transaction, step, mismatch))
        return found + self._left_over(transaction, recorded)

    # --- comparing ----------------------------------------------------------------------------------------------

    def _is_recorded(self, turn: Turn, transaction: Transaction) -> bool:
        """Tell at one glance whether all of a commit came out as recorded."""
        fields = transaction.fields
        events = [draft.value or b"" for draft in turn.drafts if draft.topic == EVENTS]
        recorded = [stored.value or b"" for stored in transaction.events]
        return (
            len(events) == len(recorded)
            and (events == recorded or all(map(self._same, events, recorded)))
            and turn.begun_effects == fields["begun"]
            and self._same_inputs(turn, transaction)
        )

    def _same_inputs(self, turn: Turn, transaction: Transaction) -> bool:
        """Hold the consumed inputs against the end of the commit record: they are its last field, before the envelope."""
        fields, value = transaction.fields, transaction.record.value
        if not value:
            return turn.inputs == [encode_again(given) for given in fields["inputs"]]
        pen = Pen(self._shard, self._partitions, self._contract, 1 << 30, fields["now"], headers=False)
        id_parts = ("commit", str(fields["sequence"]))
        record_type = self._contract.of(Commit)
        envelope = pen.own_body(f"shard/{self._shard}", EVENTS, record_type, b"", id_parts=id_parts)
        return value.endswith(encode_array(turn.inputs) + (envelope.value or b"")[FRAME_BYTES:])

    def _same(self, mine: bytes, recorded: bytes) -> bool:
        return same_value(mine, recorded, self._contract)

    def _mismatch(self, step: Step, events: list[Stored], begun: dict[str, list[str]]) -> Mismatch | None:
        mine = [draft.value or b"" for draft in step.drafts if draft.topic == EVENTS]
        recorded = [stored.value or b"" for stored in events]
        found = verdict_mismatch(step.given, step.input, self._contract) or events_mismatch(
            mine, recorded, self._contract
        )
        if found is not None:
            return found
        ids = [self._contract.envelope_of(value).id for value in recorded]
        expected = [handler for id_ in ids for handler in begun.get(id_, ())]
        got = [effect["handler"] for effect in step.begun]
        return None if expected == got else Mismatch("effects", shown(expected), shown(got))

    def _divergence(self, transaction: Transaction, step: Step, mismatch: Mismatch) -> Divergence:
        fields, given = transaction.fields, step.given
        envelope = step.inbound.envelope if step.inbound is not None else None
        id_ = derived_id(step.actor, given["timer"], "timer", str(given["offset"])) if envelope is None else envelope.id
        return Divergence(
            self._shard,
            fields["sequence"],
            transaction.record.offset,
            fields["now"],
            fields["code_version"],
            step.actor or f"shard/{self._shard}",
            given["lane"],
            given["offset"],
            "" if step.inbound is not None and envelope is None else id_,
            f"timer {given['timer']}" if step.inbound is None else ("" if envelope is None else envelope.type),
            *mismatch,
        )

    def _of_commit(self, transaction: Transaction, field: str, expected: str, got: str) -> Divergence:
        fields = transaction.fields
        place = (self._shard, fields["sequence"], transaction.record.offset, fields["now"], fields["code_version"])
        return Divergence(*place, f"shard/{self._shard}", -1, -1, "", "", field, expected, got)

    def _left_over(self, transaction: Transaction, recorded: Recorded) -> list[Divergence]:
        """Return what was recorded and no input leads to; the actors have folded it all the same."""
        left = recorded.left()
        if self._lockstep:
            for stored in left:
                self._fold_recorded(stored.key.decode(), [stored], recorded.begun)
        names = [self._contract.envelope_of(stored.value or b"").type for stored in left]
        return [self._of_commit(transaction, "events", shown(names), "no input leads to them")] if left else []

    # --- putting right ------------------------------------------------------------------------------------------

    def _snapshot(self, actor: str) -> _Before | None:
        cell = self.memory.actors.get(actor)
        if cell is None:
            return None
        timers, effects = dict(cell.timers), dict(cell.effects)
        return cell.state, cell.count, cell.sequence, cell.generation, timers, effects, cell.quarantine

    def _go_back(self, before: dict[str, _Before | None]) -> None:
        for actor, was in before.items():
            cell = self.memory.actors.get(actor)
            if cell is not None and was is not None:
                cell.state, cell.count, cell.sequence, cell.generation, timers, effects, cell.quarantine = was
                cell.timers, cell.effects = dict(timers), dict(effects)

    def _fold_recorded(self, actor: str, events: Sequence[Stored], begun: dict[str, list[str]]) -> str:
        """Fold what was recorded; return why the actor cannot, if so."""
        cell: Cell | None = self.memory.actors.get(actor) if actor else None
        if cell is None:
            return ""
        whole = not cell.quarantine
        for stored in events:
            self.memory.fold(cell, stored.value or b"")
            self.memory.begin(cell, stored.value or b"", begun)
        return cell.quarantine if whole and cell.quarantine.startswith("evolve failed while restoring") else ""

    # --- the shard's own memory ---------------------------------------------------------------------------------

    def _take_answers(self, fields: dict[str, Any], turn: Turn, *, as_recorded: bool) -> None:
        """Remember what inputs from outside got, and forget at the same commits as the shard did."""
        answers = self.memory.answers
        answers.seal(fields["sequence"] - 1)
        answers.forget(turn.now_us, turn.newest_at_us)
        recorded = (_remembered(given) for given in fields["inputs"] if given["source"])
        for answer in recorded if as_recorded else turn.new_answers.values():
            answers.remember(answer, fields["sequence"], 0)

    def _note_attempts(self, fields: dict[str, Any]) -> None:
        if fields["epoch"] != self._epoch:
            self._attempting = tuple(fields["attempting"])
        elif fields["attempting"] or fields["inputs"]:
            self._attempting = ()
        self._epoch = fields["epoch"]

    def _unsure(self, turn: Turn, transaction: Transaction) -> Unsure | None:
        """Return what the commit sent if its digest does not say that it was this."""
        parts = [part or b"" for draft in turn.drafts for part in draft[2:4]]
        if digest(parts) == transaction.fields["digest_sent"] and not self._partial:
            return None
        events = iter(transaction.events)  # found equal: as recorded, whatever schema that is
        values = [next(events).value if draft.topic == EVENTS else draft.value for draft in turn.drafts]
        parts = [part or b"" for draft, value in zip(turn.drafts, values, strict=True) for part in (draft.key, value)]
        if not self._partial and digest(parts) == transaction.fields["digest_sent"]:
            return None
        return Unsure(transaction, [draft for draft in turn.drafts if draft.topic != EVENTS], parts)


def _remembered(given: dict[str, Any]) -> Remembered:
    return Remembered(*(given[name] for name in Remembered._fields))


def _remember(turn: Turn, given: dict[str, Any]) -> None:
    """Let later inputs of the turn meet the recorded answer to this one, not the one that came out now."""
    if given["source"]:
        turn.new_answers[given["source"], given["id"], given["actor"]] = _remembered(given)
