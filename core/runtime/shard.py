"""A shard's loop: take a slice from the lanes, decide, commit, and only then act; forget everything when in doubt.

One shard is one partition number across the co-partitioned topics, and the actors whose addresses fall there. Its
memory is a fold of the log. Whatever goes wrong with a commit, the memory is dropped and folded anew by the next
opening; nothing in it is ever ahead of the log for longer than one commit takes.
"""

import asyncio
from typing import NamedTuple

import structlog

from ..errors import OutsideError
from ..log.port import CRITICAL, EVENTS, LANES, Draft, Writer
from .barrier import Barrier
from .care import DEATHS_MAX, KILLED, Care, timer_code
from .commit_record import commit_draft, following
from .effects import EffectRunner
from .housekeeping import Housekeeping
from .inbound import Inbound
from .lanes import Lanes
from .records import TIMER_LANE
from .restore import ShardMemory, restore
from .shard_clock import ShardClock
from .surroundings import Surroundings
from .turn import Turn
from .wire import Pen

logger = structlog.get_logger("hms.shard")
CRITICAL_LANE = LANES.index(CRITICAL)


class ShardStatistics(NamedTuple):
    """What a shard did since it was opened."""

    shard: int
    epoch: int
    commit_count: int
    input_count: int
    actor_count: int
    actor_live_count: int
    timer_count: int
    effect_count: int


class Shard:
    """One opened shard. `open`, then `run` until it ends or raises, then `close`; a new one for every opening."""

    def __init__(self, number: int, around: Surroundings, *, excused: bool = False) -> None:
        """Make it; `excused`: the last input that was announced ended with the log, not with the process."""
        self.number = number
        self._excused = excused
        self.announced = False
        """Whether an input was announced here that may be its end."""
        self._ahead: asyncio.Future[None] | None = None
        self._around = around
        self._options = around.options
        self._headers = around.log.capabilities.headers
        self._stopping = False
        self._proof_due = False
        self._waiting: asyncio.Future[None] | None = None
        self._care: Care | None = None
        self._commit_count = 0
        self._input_count = 0
        self._writer: Writer
        self._epoch: int
        self._memory: ShardMemory
        self._lanes: Lanes
        self._clock: ShardClock
        self._barrier: Barrier
        self._effects: EffectRunner
        self._housekeeping: Housekeeping

    # --- life ---------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Fence the previous owner; then, and only then, restore; begin the epoch with a commit record of its own."""
        around = self._around
        self._writer = await around.log.open_writer(self.number, around.owner)
        try:
            await around.fitness.check()  # whoever brought what is new here is fenced off: from now on it can be known
            self._clock = ShardClock(around.clock, 0)  # at once: the wall clock was found right, and may be set
            await around.schemas.refresh()
            self._memory = await restore(
                around.log, self.number, around.behaviours, self._options, around.history, owned=True
            )
        except BaseException:
            await self._writer.close()
            raise
        memory = self._memory
        # A log may number its writers anew (Kafka: a transactional id that expired after a week); epochs never go back.
        self._epoch = max(memory.epoch + 1, self._writer.epoch)
        self._clock.not_before(memory.head.now_us)
        self._lanes = Lanes(around.log, self.number, memory.head.positions, around.schemas, self._options.read_records)
        self._barrier = Barrier(around.log, self.number, self._lanes, around.clock, self._options.blocked_lane_ms)
        self._effects = EffectRunner(around.log, around.behaviours, around.clock, self._options, self._clock.now_us)
        self._housekeeping = Housekeeping(self.number, around.log, memory, self._options, around.clock)
        if self._excused and memory.attempting:
            *place, times = memory.attempting
            memory.attempting = (*place, times - 1)
        await self._begin_care()
        await self._commit(self._turn(), self._lanes.positions(), attempting=memory.attempting)
        for actor, pending in memory.pending_effects():
            self._effects.start(actor, pending)

    async def run(self) -> None:
        """Work until `stop`. Raises `WriterFenced`, `CommitUnknown`, `LogUnreachable`: then open a new one; `NodeUnfit`."""
        while not self._stopping:
            if not await self._advance():
                await self._idle()

    def stop(self) -> None:
        """Let `run` return after the commit that is under way."""
        self._stopping = True
        if self._waiting is not None:
            self._waiting.cancel()

    def prove(self) -> None:
        """Commit something, if only a commit record, once there is nothing else to do.

        The shard may have had another owner meanwhile, unnoticed by this one; then the commit is fenced off, and the
        shard is opened anew, before the next message has to wait for that.
        """
        self._proof_due = True

    async def close(self) -> None:
        """Stop effects and give the writer up. Never raises."""
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.gather(self._ahead, return_exceptions=True)
        if hasattr(self, "_effects"):
            await self._effects.close()
        if hasattr(self, "_writer"):
            await self._writer.close()
        self._around.pace.rest(self.number)

    @property
    def memory(self) -> ShardMemory:
        """What the shard knows; of the last commit, or ahead of it while one is under way."""
        return self._memory

    @property
    def idle(self) -> bool:
        """Whether it waits for something to do; its memory is then exactly what it has committed."""
        return self._waiting is not None

    @property
    def progressed(self) -> bool:
        """Whether it consumed anything since it was opened."""
        return self._input_count > 0

    def statistics(self) -> ShardStatistics:
        """Return what this shard did so far."""
        actors = self._memory.actors
        return ShardStatistics(
            self.number,
            self._epoch,
            self._commit_count,
            self._input_count,
            len(actors),
            actors.live_count,
            len(self._memory.timers),
            self._effects.running_count,
        )

    # --- one turn -----------------------------------------------------------------------------------------------

    async def _advance(self) -> bool:
        """Consume one slice and commit it; return whether there was anything."""
        await self._have_read_ahead()
        await self._lanes.fill()
        limit_us = await self._timers_may_fire_until()
        if self._lanes.empty and limit_us is None:
            self._around.pace.rest(self.number)
            return False
        if self._careful():
            turn = await self._careful_turn(limit_us)
        else:
            turn = self._turn()
            self._take_slice(turn)
            if limit_us is not None:
                self._fire_timers(turn, limit_us)
        if not turn.inputs:
            self._around.pace.rest(self.number)
            return False
        if turn.strange:  # to an app that another node has brought since: not for this one to bury
            await self._around.fitness.check_apps()
        self._around.pace.work(self.number)
        await self._commit(turn, self._lanes.positions())
        self._input_count += len(turn.inputs)
        await self._housekeeping.clean()
        return True

    def _turn(self) -> Turn:
        memory = self._memory
        around = self._around
        now_us = self._clock.now_us()
        return Turn(
            self.number,
            around.log.partitions,
            around.behaviours,
            memory.actors,
            memory.answers,
            self._options,
            now_us,
            headers=self._headers,
        )

    def _take_slice(self, turn: Turn) -> None:
        deadline_us = self._slice_ends_us()
        for inbound in self._lanes.take():
            turn.handle(inbound)
            if turn.full or self._around.clock.monotonic_us() > deadline_us:
                return

    def _slice_ends_us(self) -> int:
        now_us = self._around.clock.monotonic_us()
        if self._lanes.has(CRITICAL_LANE):
            self._around.pace.hurry(now_us)
        return now_us + int(self._around.pace.slice_s(self._options.slice_ms_max, now_us) * 1_000_000)

    def _fire_timers(self, turn: Turn, limit_us: int) -> None:
        deadline_us = self._slice_ends_us()
        while (due := self._memory.timers.pop_due(limit_us)) is not None:
            _, actor, name, generation = due
            turn.fire(actor, name, generation)
            if turn.full or self._around.clock.monotonic_us() > deadline_us:
                return

    async def _timers_may_fire_until(self) -> int | None:
        """Return the instant up to which timers may fire; None if none is due, or the lanes are not read far enough."""
        now_us = self._clock.now_us()
        due_us = self._memory.timers.next_due_us()
        if due_us is None or due_us > now_us:
            return None
        return await self._barrier.passed(now_us)

    # --- commit -------------------------------------------------------------------------------------------------

    async def _commit(self, turn: Turn, positions: tuple[int, ...], attempting: tuple[int, ...] = ()) -> None:
        memory = self._memory
        sequence = memory.head.sequence + 1
        pen = Pen(
            self.number,
            self._around.log.partitions,
            self._around.behaviours.contract,
            1 << 30,
            turn.now_us,
            headers=self._headers,
        )
        upkeep = self._housekeeping.prepare(pen, sequence, turn)
        sent = [*turn.drafts, *upkeep.drafts]
        record = commit_draft(
            self._around.behaviours.contract,
            pen,
            memory.head,
            shard=self.number,
            epoch=self._epoch,
            code_version=self._around.code_version,
            now_us=turn.now_us,
            inputs=turn.inputs,
            positions=positions,
            read=turn.read,
            sent=sent,
            attempting=attempting,
            begun=turn.begun_effects,
        )
        sent.append(record)
        offsets = await self._write(sent)
        fields = {"sequence": sequence, "now": turn.now_us, "positions": positions, "previous": memory.head.previous}
        memory.head = following(memory.head, fields, record.value or b"", f"shard {self.number}")
        first = next(offset for draft, offset in zip(sent, offsets, strict=True) if draft.topic == EVENTS)
        memory.events_end = offsets[-1] + 1
        self._commit_count += 1
        self._take_in(turn, sequence, first)
        self._housekeeping.done(upkeep, turn, first)
        self._around.log.mirror(
            {(topic, self.number): position for topic, position in zip(LANES, positions, strict=True)}
        )

    async def _write(self, sent: list[Draft]) -> list[int]:
        """Commit, and read and decode the next slice meanwhile; what is committed does not wait for that."""
        await self._have_read_ahead()
        self._ahead = asyncio.ensure_future(self._read_ahead())
        return await self._writer.commit(sent)

    async def _read_ahead(self) -> None:
        try:
            await self._lanes.fill()
        except OutsideError as error:
            logger.warning("read_failed_during_commit", shard=self.number, error=str(error))

    async def _have_read_ahead(self) -> None:
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            await ahead

    def _take_in(self, turn: Turn, sequence: int, first: int) -> None:
        memory = self._memory
        for cell in turn.touched.values():
            cell.sequence = sequence
        for answer in turn.new_answers.values():
            memory.answers.remember(answer, sequence, first)
        for due_us, actor, name, generation in turn.timers_set:
            memory.timers.add(due_us, actor, name, generation)
        for actor, effect in turn.finished:
            self._effects.finish(actor, effect)
        for actor, pending in turn.begun:
            self._effects.start(actor, pending)

    # --- idle ---------------------------------------------------------------------------------------------------

    async def _idle(self) -> None:
        if self._stopping:
            return
        if self._proof_due or self._housekeeping.is_due():
            self._proof_due = False
            await self._commit(self._turn(), self._lanes.positions())
            return
        await self._housekeeping.clean()
        self._waiting = asyncio.ensure_future(self._around.log.wait(self._lanes.waiting_for(), self._wait_ms()))
        try:
            await self._waiting
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        finally:
            self._waiting = None

    def _wait_ms(self) -> int:
        if self._barrier.is_up:
            return 10
        due_us = self._memory.timers.next_due_us()
        if due_us is None:
            return self._options.idle_ms
        return max(1, min(self._options.idle_ms, (due_us - self._clock.now_us() + 999) // 1_000))

    # --- poison -------------------------------------------------------------------------------------------------

    async def _begin_care(self) -> None:
        """After several openings in vain, handle one input at a time, and bury the one that killed before."""
        memory = self._memory
        if memory.opened_in_vain < self._options.careful_after_opens and not memory.attempting:
            return
        marks = [await self._around.log.watermarks(topic, self.number) for topic in LANES]
        self._care = Care(tuple(mark.high for mark in marks), self._clock.now_us())
        if self._careful():
            logger.warning("shard_is_careful", shard=self.number, opened_in_vain=memory.opened_in_vain)

    def _careful(self) -> bool:
        """Tell whether inputs from before the opening are left; the first time that none are ends the care."""
        care = self._care
        if care is not None and care.is_over(self._lanes.positions(), self._memory.timers.next_due_us()):
            self._care = None
        return self._care is not None

    async def _careful_turn(self, timers_until_us: int | None) -> Turn:
        """Handle one input, announced by a commit of its own: if it kills the process, the next owner knows which."""
        inbound = next(self._lanes.take(), None)
        if inbound is not None:
            return await self._handle_carefully(inbound)
        due = None if timers_until_us is None else self._memory.timers.pop_due(timers_until_us)
        return self._turn() if due is None else await self._fire_carefully(*due[1:])

    async def _handle_carefully(self, inbound: Inbound) -> Turn:
        positions = list(self._lanes.positions())
        positions[inbound.lane] = inbound.stored.offset
        killer = await self._announce((inbound.lane, inbound.stored.offset, 0), tuple(positions))
        turn = self._turn()
        if killer:
            turn.kill(inbound, KILLED)
        else:
            turn.handle(inbound)
        return turn

    async def _fire_carefully(self, actor: str, name: str, generation: int) -> Turn:
        place = (TIMER_LANE, generation, timer_code(actor, name))
        killer = await self._announce(place, self._lanes.positions())
        turn = self._turn()
        turn.fire(actor, name, generation, killer=killer)
        return turn

    async def _announce(self, place: tuple[int, ...], positions: tuple[int, ...]) -> bool:
        """Commit that this input is about to be handled; return whether that was said twice, and the shard died each time.

        Twice, because a shard also ends in the middle of an innocent input: its log fails, or its process is killed.
        """
        *before, times = self._memory.attempting or (0,)
        times = times if tuple(before) == place else 0
        killer = times >= DEATHS_MAX
        self._memory.attempting = ()
        self.announced = not killer
        if killer:
            logger.error("input_killed_the_shard", shard=self.number, place=place)
        else:
            await self._commit(self._turn(), positions, attempting=(*place, times + 1))
        return killer
