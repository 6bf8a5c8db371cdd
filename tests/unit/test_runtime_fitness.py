"""Nodes that must own no shard: whose code is older than the log, or whose clock is wrong; and logs that lack a part."""

import asyncio
from typing import Any, cast

import pytest

from hms.core.app import App
from hms.core.behaviour import Behaviour, Context
from hms.core.decision import Decision, accept
from hms.core.errors import ClockOff, HistoryBroken, NodeOutdated
from hms.core.log.port import CHECKPOINTS, DEAD_LETTERS, EVENTS, Log, Writer
from hms.core.log.simulated import SimulatedLog
from hms.core.runtime.dedup import AnswerTable, Remembered
from hms.core.runtime.history import LogHistory
from hms.core.runtime.installed import Behaviours
from hms.core.runtime.node import Node
from hms.core.runtime.records import Answers, Commit, ShardCheckpoint
from hms.core.runtime.restore import ShardMemory, restore
from hms.core.runtime.shard_options import ShardOptions
from hms.core.runtime.view import View
from hms.core.testing.simulation.cast import Account, Append, Balance, Deposit, Size, account, app, behaviours, register
from hms.core.testing.virtual_clock import VirtualClock
from hms.core.testing.virtual_world import NodeProcess, VirtualWorld, play
from hms.schemas import Event, Message, State, UnknownSchema

DAY_US = 24 * 3_600_000_000
OLDER = App("cast", account)
"""The cast as it was before registers came."""


def commits(world: VirtualWorld) -> list[Any]:
    decoded = [behaviours().contract.decode(stored.value or b"").record for stored in world.stored(EVENTS)]
    return [record for record in decoded if isinstance(record, Commit)]


def move_the_shard(world: VirtualWorld) -> None:
    world.broker.group.take_away(0)
    world.broker.notify()


# --- an app that came later ---------------------------------------------------------------------------------------------


def test_a_shard_that_comes_to_a_node_without_a_later_app_loses_nothing_of_it() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        old = await world.start_node(OLDER, name="old", options=ShardOptions(idle_ms=20))
        new = await world.start_node(app, name="new", options=ShardOptions(idle_ms=20))
        move_the_shard(world)
        for number in range(1, 6):
            assert await client.ask(register("r"), Append(operation=f"{number}"), timeout_ms=60_000) == Size(
                count=number
            )
        await asyncio.sleep(1)  # its checkpoint is written
        move_the_shard(world)
        await client.ask(account("anna"), Deposit(cents=1), timeout_ms=60_000)
        assert await client.ask(register("r"), Append(operation="6"), timeout_ms=60_000) == Size(count=6)
        assert old.node.open_shards() == {}
        assert "cast:register" in old.node.statistics().unfit
        assert list(new.node.open_shards()) == [0]
        assert world.stored(DEAD_LETTERS) == []
        assert [node.node for node in await new.node.log.nodes() if node.alive] == ["new"]

    play(history)


def test_a_message_to_an_app_that_came_later_waits_for_a_node_that_runs_it() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        old = await world.start_node(OLDER, name="old")
        await client.ask(account("anna"), Deposit(cents=1))
        await world.start_node(app, name="new")
        assert list(old.node.open_shards()) == [0]
        assert await client.ask(register("r"), Append(operation="1"), timeout_ms=60_000) == Size(count=1)
        assert await client.ask(account("anna"), Deposit(cents=1)) == Balance(cents=2)
        assert world.stored(DEAD_LETTERS) == []

    play(history)


def test_who_owns_a_shard_refuses_what_is_of_no_app_of_his_and_who_looks_passes_it_over() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        await world.start_node(app, options=ShardOptions(idle_ms=20))
        await client.ask(account("anna"), Deposit(cents=1))
        await client.ask(register("r"), Append(operation="1"))
        log = world.broker.connect("looker")
        with pytest.raises(NodeOutdated, match=r"hms\.events/0@\d+: 'register/r'"):
            await restored(log, Behaviours([OLDER]), owned=True)
        await asyncio.sleep(1)
        with pytest.raises(NodeOutdated, match=r"hms\.checkpoints/0: 'register/r'"):
            await restored(log, Behaviours([OLDER]), owned=True)
        seen = await View(log, [OLDER]).actors(lambda _: True)
        assert [(one.address, one.state) for one in seen] == [("account/anna", Account(cents=1))]

    play(history)


async def restored(log: SimulatedLog, with_these: Behaviours, *, owned: bool) -> ShardMemory:
    return await restore(log, 0, with_these, ShardOptions(), LogHistory(log), owned=owned)


# --- events of newer code -----------------------------------------------------------------------------------------------


class Add(Message):
    """Count one more."""


class Counts(State):
    count: int = 0


def counter(version: int) -> App:
    """Return the counter: in its second version `Added` says by how many, in its third there is another event."""

    class Added(Event):
        pass

    class AddedSome(Event):
        some: int = 1

    AddedSome.__name__ = AddedSome.__qualname__ = "Added"

    class Jumped(Event):
        some: int = 1

    event = (Added, AddedSome, Jumped)[version - 1]

    def decide(_state: Counts, _message: Add, _context: Context) -> Decision[Any]:
        return accept(event())

    def evolve(state: Counts, event: Any) -> Counts:
        return Counts(count=state.count + getattr(event, "some", 1))

    decide.__annotations__["return"] = Decision[event]  # type: ignore[valid-type]
    evolve.__annotations__["event"] = event
    return App("counting", Behaviour("counter", initial=Counts, decide=decide, evolve=evolve))


def count(process: NodeProcess) -> Any:
    cell = process.node.open_shards()[0].memory.actors.get("counter/c")
    assert cell is not None
    return cell.state.count, cell.quarantine


def test_an_event_whose_schema_came_after_the_nodes_start_is_folded_by_it() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        first, second = counter(1), counter(2)
        old = await world.start_node(first, name="old", options=ShardOptions(idle_ms=3_600_000))
        await world.start_node(second, name="new", options=ShardOptions(idle_ms=3_600_000))
        move_the_shard(world)
        await asyncio.sleep(1)
        for _ in range(3):
            await client.tell(second.behaviours["counter"]("c"), Add())
        await asyncio.sleep(1)
        move_the_shard(world)
        await asyncio.sleep(3)
        assert count(old) == (3, "")

    play(history)


def test_an_event_of_a_class_that_the_nodes_code_lacks_makes_it_leave_and_quarantines_nobody() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        first, third = counter(1), counter(3)
        old = await world.start_node(first, name="old", options=ShardOptions(idle_ms=3_600_000))
        new = await world.start_node(third, name="new", options=ShardOptions(idle_ms=3_600_000))
        move_the_shard(world)
        await asyncio.sleep(1)
        await client.tell(third.behaviours["counter"]("c"), Add())
        await asyncio.sleep(1)
        move_the_shard(world)
        await asyncio.sleep(3)
        assert "counting.Jumped" in old.node.statistics().unfit
        assert count(new) == (1, "")
        assert world.stored(DEAD_LETTERS) == []

    play(history)


def test_an_event_whose_schema_the_log_lacks_is_no_fault_of_its_actor() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        await world.start_node(counter(2), options=ShardOptions(idle_ms=3_600_000))
        await client.tell(counter(2).behaviours["counter"]("c"), Add())
        await asyncio.sleep(1)
        log = world.broker.connect("looker")
        with pytest.raises(HistoryBroken, match="schema id"):
            await restored(log, Behaviours([counter(1)]), owned=True)
        with pytest.raises(UnknownSchema):
            await restored(log, Behaviours([counter(1)]), owned=False)
        seen = await View(log, [counter(1)]).actor("counter/c")
        assert seen is not None
        assert (seen.state, seen.quarantine) == (Counts(count=1), "")

    play(history)


# --- a log that lacks a part ---------------------------------------------------------------------------------------------


def lose(world: VirtualWorld, topic: str, wanted: Any) -> None:
    """Let records vanish from the log, as no broker does."""
    partition = world.broker.partition(topic, 0)
    partition._remove([stored.offset for stored in world.stored(topic) if wanted(stored)])


async def broken(world: VirtualWorld, options: ShardOptions) -> str:
    """Return why the next owner finds the history broken."""
    process = await world.start_node(app, name="next", options=options)
    await asyncio.sleep(3)  # until the lease of the last owner is over
    return "".join(process.node.statistics().broken)


def test_a_chain_that_does_not_begin_with_its_first_commit_is_broken() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        options = ShardOptions(idle_ms=3_600_000)
        first = await world.start_node(app, name="first", options=options)
        for number in range(5):
            await client.ask(register("r"), Append(operation=f"{number}"))
        first.kill()
        last = world.stored(EVENTS)[-2].offset
        lose(world, EVENTS, lambda stored: stored.offset < last)
        assert "expected the first commit to be 0 or an earlier one, got 5" in await broken(world, options)

    play(history)


def test_a_tail_that_begins_behind_its_checkpoint_is_broken() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        first = await world.start_node(app, name="first", options=ShardOptions(idle_ms=20))
        await client.ask(register("r"), Append(operation="0"))
        await asyncio.sleep(1)
        checkpoint = shard_checkpoint(world)
        for number in range(1, 4):
            await client.ask(register("r"), Append(operation=f"{number}"))
        first.kill()
        stands = [stored for stored in world.stored(EVENTS) if stored.offset >= checkpoint.low_water]
        assert behaviours().contract.decode(stands[0].value or b"").record.sequence == checkpoint.sequence  # type: ignore[union-attr]
        lose(world, EVENTS, lambda stored: stored.offset == stands[0].offset)
        found = await broken(world, ShardOptions())
        assert f"expected the first commit to be {checkpoint.sequence} or an earlier one" in found

    play(history)


def shard_checkpoint(world: VirtualWorld) -> ShardCheckpoint:
    *_, value = (stored.value for stored in world.stored(CHECKPOINTS) if stored.key == b"shard/0")
    record = behaviours().contract.decode(value or b"").record
    assert isinstance(record, ShardCheckpoint)
    return record


def test_a_checkpoint_whose_answers_are_gone_is_broken() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        options = ShardOptions(idle_ms=20, answers_segment=2)
        first = await world.start_node(app, name="first", options=options)
        for number in range(5):
            await client.ask(register("r"), Append(operation=f"{number}"))
        await asyncio.sleep(1)
        first.kill()
        frame = behaviours().contract.of(Answers).frame
        lose(world, CHECKPOINTS, lambda stored: (stored.value or b"").startswith(frame))
        assert "expected the answers shard/0/answers/0" in await broken(world, options)

    play(history)


# --- a clock that is wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("off_us", [3 * DAY_US, -DAY_US, 61_000_000])
def test_a_node_whose_clock_is_wrong_does_not_start_and_says_both_clocks(off_us: int) -> None:
    async def history(world: VirtualWorld) -> None:
        clock = VirtualClock(world.loop, off_us)
        node = Node(world.broker.connect("wrong"), [app], name="wrong", clock=clock)
        with pytest.raises(ClockOff, match=r"it shows 20\d\d-.*the log's \(.*\) 2026-01-01T00:00:00"):
            await node.start()
        assert await node.log.nodes() == []

    play(history)


def test_a_node_whose_clock_goes_wrong_leaves_its_shards_to_others_until_it_is_right_again() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        wrong = await world.start_node(app, name="wrong")
        await client.ask(account("anna"), Deposit(cents=10), id="order-1")
        right = await world.start_node(app, name="right")
        wrong.clock.offset_us = 2 * DAY_US
        await asyncio.sleep(15)
        assert wrong.node.open_shards() == {}
        assert "172800 s ahead" in wrong.node.statistics().unfit
        assert list(right.node.open_shards()) == [0]
        assert await client.ask(account("anna"), Deposit(cents=10), id="order-1") == Balance(cents=10)
        times_us = [int(commit.now.timestamp() * 1e6) for commit in commits(world)]
        assert max(times_us) < world.clock.wall_us() + 60_000_000
        wrong.clock.offset_us = 0
        await asyncio.sleep(15)
        assert wrong.node.statistics().unfit == ""
        right.kill()
        assert await client.ask(account("anna"), Deposit(cents=1), timeout_ms=60_000) == Balance(cents=11)

    play(history)


def test_a_node_whose_clock_has_just_gone_wrong_opens_no_shard() -> None:
    async def history(world: VirtualWorld) -> None:
        first = await world.start_node(app, name="first")
        second = await world.start_node(app, name="second")
        await asyncio.sleep(1)
        second.clock.offset_us = DAY_US
        first.kill()
        await asyncio.sleep(3)
        assert "86400 s ahead" in second.node.statistics().unfit
        assert len(commits(world)) == 1

    play(history)


def test_what_was_answered_is_not_forgotten_because_a_clock_is_ahead() -> None:
    answers = AnswerTable(ShardOptions())
    at_us = 1_800_000_000_000_000
    answers.remember(Remembered("client/a", "order-1", "doer/a", 2, at_us, "decided", b""), 0, 0)
    answers.forget(at_us + 3 * DAY_US, at_us + 1)
    assert len(answers) == 1, "no append time says that a day is over"
    answers.forget(at_us + 1, at_us + 3 * DAY_US)
    assert len(answers) == 1, "the node's clock does not say so"
    answers.forget(at_us + 3 * DAY_US, at_us + 3 * DAY_US)
    assert len(answers) == 0


# --- epochs ------------------------------------------------------------------------------------------------------------------


class NewNumbers:
    """A log that numbers its writers anew, as Kafka does when a transactional id has expired."""

    def __init__(self, log: SimulatedLog) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def open_writer(self, shard: int, owner: str) -> Writer:
        return NumberedOne(await self._log.open_writer(shard, owner))


class NumberedOne:
    """A writer of the first epoch."""

    epoch = 1

    def __init__(self, writer: Writer) -> None:
        self.shard = writer.shard
        self.commit = writer.commit
        self.close = writer.close


def test_recorded_epochs_grow_though_the_log_numbers_its_writers_anew() -> None:
    async def history(world: VirtualWorld) -> None:
        for number in range(1, 5):
            log = cast("Log", NewNumbers(world.broker.connect(f"run {number}")))
            async with Node(log, behaviours(), name="node", clock=world.clock) as node:
                await node.wait_owning(1)
                assert node.statistics().shards[0].epoch == number
        assert [commit.epoch for commit in commits(world)] == [1, 2, 3, 4]

    play(history)
