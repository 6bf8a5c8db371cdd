"""The simulation bites: each of nine deliberate bugs, put in place of one function, is caught within a few hundred worlds."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from hms.actors.component import behaviour as deciding
from hms.actors.component.facts import decide_report
from hms.actors.component.state import ComponentState
from hms.core.behaviour import Context
from hms.core.decision import Decision
from hms.core.log.port import EVENTS, Log, Watermarks
from hms.core.log.simulated.writer import SimulatedWriter
from hms.core.runtime import restore as restoring
from hms.core.runtime import shard as opening
from hms.core.runtime.fitness import Fitness
from hms.core.runtime.inbound import Inbound
from hms.core.runtime.shard import Shard
from hms.core.runtime.turn import Turn
from hms.core.testing.simulation import simulate
from hms.schemas import Envelope

from .supervised import supervise

SEEDS_MAX = 400

Bug = Callable[[pytest.MonkeyPatch], None]


def no_dedup(patch: pytest.MonkeyPatch) -> None:
    """Every message from outside is new."""

    def handle(self: Turn, inbound: Inbound, envelope: Envelope) -> None:
        self._handle_fresh(inbound, envelope)

    patch.setattr(Turn, "_handle_from_outside", handle)


def no_fencing(patch: pytest.MonkeyPatch) -> None:
    """Whoever once had a writer may write."""
    patch.setattr(SimulatedWriter, "_check_epoch", lambda _: None)


class ShortLog:
    """A log whose last commit (its record, and the marker behind it) is not told of."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def watermarks(self, topic: str, partition: int) -> Watermarks:
        marks = await self._log.watermarks(topic, partition)
        return marks._replace(high=max(0, marks.high - 2)) if topic == EVENTS else marks


def restore_one_short(patch: pytest.MonkeyPatch) -> None:
    """An owner restores all but the last commit."""

    async def short(log: Log, *rest: Any, **more: Any) -> restoring.ShardMemory:
        return await restoring.restore(cast("Log", ShortLog(log)), *rest, **more)

    patch.setattr(opening, "restore", short)


def effect_before_commit(patch: pytest.MonkeyPatch) -> None:
    """Effects begin as soon as they are decided."""
    commit = Shard._commit

    async def eager(self: Shard, turn: Turn, *rest: Any, **more: Any) -> None:
        for actor, pending in turn.begun:
            self._effects.start(actor, pending)
        turn.begun = []
        await commit(self, turn, *rest, **more)

    patch.setattr(Shard, "_commit", eager)


def positions_apart_from_events(patch: pytest.MonkeyPatch) -> None:
    """Where the lanes have been read to is committed after what was read from them."""
    commit = Shard._commit

    async def apart(self: Shard, turn: Turn, positions: tuple[int, ...], **more: Any) -> None:
        if turn.inputs:
            await commit(self, turn, self._memory.head.positions, **more)
            turn = self._turn()
        await commit(self, turn, positions, **more)

    patch.setattr(Shard, "_commit", apart)


def timer_before_catching_up(patch: pytest.MonkeyPatch) -> None:
    """A timer fires when it is due, whatever waits unread in the lanes."""

    async def at_once(self: Shard) -> int | None:
        now_us = self._clock.now_us()
        due_us = self._memory.timers.next_due_us()
        return now_us if due_us is not None and due_us <= now_us else None

    patch.setattr(Shard, "_timers_may_fire_until", at_once)


def any_clock(patch: pytest.MonkeyPatch) -> None:
    """A node owns shards whatever its clock says."""

    async def believe(_: Fitness) -> None:
        pass

    patch.setattr(Fitness, "check_clock", believe)


def any_code(patch: pytest.MonkeyPatch) -> None:
    """A node owns shards of apps that it does not run, and passes over what is theirs."""

    async def believe(_: Fitness) -> None:
        pass

    def pass_over(_: restoring.ShardMemory, __: str, ___: str) -> None:
        pass

    patch.setattr(Fitness, "check_apps", believe)
    patch.setattr(restoring.ShardMemory, "strange", pass_over)


def stale_incarnation_believed(patch: pytest.MonkeyPatch) -> None:
    """What is said of an incarnation of yesterday is taken for the one of today."""

    def believe(state: ComponentState, report: Any, context: Context) -> Decision[Any]:
        if report.incarnation < state.incarnation:
            newest = {"incarnation": state.incarnation, "attempt": state.attempt, "sequence": state.sequence + 1}
            report = report.model_copy(update={**newest, "session": state.session})
        return decide_report(state, report, context)

    patch.setattr(deciding, "decide_report", believe)


@pytest.mark.parametrize(
    ("bug", "promise"),
    [
        (no_dedup, "promise 2"),
        (no_fencing, "liveness: HistoryBroken"),
        (restore_one_short, "liveness: HistoryBroken"),
        (effect_before_commit, "effects"),
        (
            positions_apart_from_events,
            "liveness: HistoryBroken",
        ),  # who replays it finds inputs that were consumed twice
        (timer_before_catching_up, "timers"),
        (any_clock, "clocks"),
        (any_code, "promise 5"),
    ],
)
def test_a_deliberate_bug_breaks_its_promise(bug: Bug, promise: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    for seed in range(SEEDS_MAX):
        if any(what.startswith(promise) for what in simulate(seed).broken):
            return
    pytest.fail(f"expected {bug.__name__} to break {promise} within {SEEDS_MAX} worlds; it did not")


def test_a_stale_incarnation_that_is_believed_starts_a_process_over_one_that_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stale_incarnation_believed(monkeypatch)
    broken = (line for seed in range(40) for line in supervise(seed).broken)
    assert any(line.startswith("started over a process that lives") for line in broken)


def test_without_a_bug_nothing_breaks() -> None:
    assert [simulate(seed).broken for seed in range(20)] == [[]] * 20
