"""A shard's life: passivation, checkpoints, take-over, zombies, poison that kills, changed code, and no livelock."""

import asyncio
from typing import Any

from hms.core.app import App
from hms.core.behaviour import Behaviour, Context
from hms.core.decision import Decision, accept, timer
from hms.core.log.port import CHECKPOINTS, DEAD_LETTERS, EVENTS, Draft
from hms.core.log.simulated import Faults
from hms.core.log.simulated.broker import STRANGER
from hms.core.runtime.history import LogHistory
from hms.core.runtime.records import Commit, DeadLetter
from hms.core.runtime.restore import restore
from hms.core.runtime.shard_options import ShardOptions
from hms.core.testing.simulation.cast import (
    Append,
    Deposit,
    Size,
    account,
    app,
    behaviours,
    register,
)
from hms.core.testing.simulation.promises import described
from hms.core.testing.virtual_world import NodeProcess, VirtualWorld, play
from hms.schemas import Event, Message, State


def state(process: NodeProcess, address: str) -> Any:
    cell = process.node.open_shards()[0].memory.actors.get(address)
    return cell.state if cell is not None else None


def commits(world: VirtualWorld) -> list[Any]:
    decoded = [behaviours().contract.decode(stored.value or b"").record for stored in world.stored(EVENTS)]
    return [record for record in decoded if isinstance(record, Commit)]


# --- memory -------------------------------------------------------------------------------------------------------------


def test_passivated_actors_are_activated_with_all_they_knew() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        process = await world.start_node(app, options=ShardOptions(live_actors_max=2))
        for cents in (1, 2):
            for name in range(10):
                await client.ask(account(f"a{name}"), Deposit(cents=cents))
        await asyncio.sleep(0.01)
        statistics = process.node.statistics().shards[0]
        assert statistics.actor_count == 10
        assert statistics.actor_live_count <= 2
        assert [state(process, f"account/a{name}").cents for name in range(10)] == [3] * 10

    play(history)


def test_live_restored_and_folded_states_are_equal() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        options = ShardOptions(tail_events_max=5, checkpoints_per_commit=1, idle_ms=3_600_000)
        process = await world.start_node(app, options=options)
        for number in range(30):
            await client.ask(account(f"a{number % 4}"), Deposit(cents=number))
        await asyncio.sleep(0.01)  # the client may hear of a commit before the shard does
        log = world.broker.connect("looker")
        restored = await restore(log, 0, behaviours(), options, LogHistory(log))
        assert world.stored(CHECKPOINTS) != []
        assert described(restored) == described(process.node.open_shards()[0].memory)

    play(history)


def test_a_restore_reads_the_tail_only_once_checkpoints_are_written() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        options = ShardOptions(tail_events_max=20, checkpoints_per_commit=4)
        await world.start_node(app, options=options)
        for number in range(100):
            await client.ask(account(f"a{number % 5}"), Deposit(cents=1))
        log = world.broker.connect("looker")
        restored = await restore(log, 0, behaviours(), options, LogHistory(log))
        assert len(restored.actors.dirty) <= 5
        assert min(restored.actors.dirty.values()) > restored.events_end - 60

    play(history)


# --- owners -------------------------------------------------------------------------------------------------------------


def test_a_paused_owner_that_wakes_up_writes_nothing_visible() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        first = await world.start_node(app, name="first")
        await client.ask(register("r"), Append(operation="1"))
        first.stop()
        second = await world.start_node(app, name="second")
        assert await client.ask(register("r"), Append(operation="2")) == Size(count=2)
        first.go_on()
        for number in range(3, 20):
            assert await client.ask(register("r"), Append(operation=f"{number}")) == Size(count=number)
        sequences = [commit.sequence for commit in commits(world)]
        assert sequences == list(range(len(sequences)))
        epochs = [commit.epoch for commit in commits(world)]
        assert epochs == sorted(epochs)
        assert first.node.open_shards() == {} or second.node.open_shards() == {}

    play(history)


def test_an_owner_that_lost_and_regained_its_shard_unnoticed_opens_it_anew() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        first = await world.start_node(app, name="first")
        await client.ask(register("r"), Append(operation="1"))
        second = await world.start_node(app, name="second")
        await asyncio.sleep(3)  # its checkpoints are written: it has no reason of its own to commit
        first.node.log.members["first"].believe_on(1_000)  # type: ignore[attr-defined] - the simulated log's
        for _ in range(2):
            world.broker.group.take_away(0)
            world.broker.notify()
            await asyncio.sleep(0.2)
        await asyncio.sleep(10)
        assert second.node.open_shards() == {}
        assert first.node.open_shards()[0].statistics().epoch == world.broker.epochs[0] == 3

    play(history)


def test_nodes_whose_membership_is_old_do_not_fence_each_other_for_ever() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        for name in ("a", "b", "c"):
            await world.start_node(app, name=name)
        for number in range(40):
            await client.ask(register("r"), Append(operation=f"{number}"), timeout_ms=60_000)
            await asyncio.sleep(0.2)
        assert len({commit.epoch for commit in commits(world)}) < 30

    play(history, faults=Faults(membership_stale=0.5, rebalance_in_commit=0.05, stale_ms_max=3_000))


def test_every_shard_gets_an_owner_however_nodes_come_and_go() -> None:
    async def history(world: VirtualWorld) -> None:
        running = [await world.start_node(app, name=f"n{number}") for number in range(3)]
        await asyncio.sleep(0.3)
        running[0].kill()
        running.append(await world.start_node(app, name="n3"))
        await asyncio.sleep(5)
        owned = sorted(shard for process in running[1:] for shard in process.node.open_shards())
        assert owned == list(range(7))

    for seed in range(20):
        play(history, seed, partitions=7)


def test_an_owner_waits_for_what_a_strangers_transaction_hides_from_its_restore() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        first = await world.start_node(app, name="first")
        await client.ask(register("r"), Append(operation="1"))
        hung = world.broker.begin(STRANGER, 3_000)
        world.broker.produce([Draft(EVENTS, 0, b"stranger/1", b"never committed")], hung)
        assert await client.ask(register("r"), Append(operation="2"), timeout_ms=60_000) == Size(count=2)
        first.kill()
        await world.start_node(app, name="second")
        assert await client.ask(register("r"), Append(operation="3"), timeout_ms=60_000) == Size(count=3)

    play(history)


# --- poison that kills --------------------------------------------------------------------------------------------------


class Kill(Message):
    """Ends the process that handles it."""


class Live(Message):
    """Does nothing."""


class Lived(Event):
    """Nothing was done."""


class Lives(State):
    count: int = 0


class Killing:
    """An app whose behaviour ends the process, as a segmentation fault would, when it decides about `Kill`."""

    def __init__(self) -> None:
        self.process: NodeProcess | None = None
        self.deaths = 0
        self.mortal = Behaviour("mortal", initial=Lives, decide=self.decide, evolve=self.evolve)
        self.app = App("killing", self.mortal)

    def decide(self, _state: Lives, message: Kill | Live, _context: Context) -> Decision[Lived]:
        if isinstance(message, Kill) and self.process is not None:
            self.deaths += 1
            self.process.kill()
        return accept(Lived())

    def evolve(self, state: Lives, _event: Lived) -> Lives:
        return Lives(count=state.count + 1)

    async def run(self, world: VirtualWorld, app: App) -> NodeProcess:
        """Start the node again whenever it was killed; return the run that lives."""
        for number in range(20):
            deaths = self.deaths
            self.process = await world.start_node(app, name=f"run {number}")
            await asyncio.sleep(3)
            if self.deaths == deaths:
                return self.process
        raise AssertionError("expected the message that kills to be buried within 20 runs")


def test_a_message_that_kills_the_process_each_time_is_a_dead_letter_and_the_others_are_handled() -> None:
    async def history(world: VirtualWorld) -> None:
        killing = Killing()
        client = await world.connect()
        await client.tell(killing.mortal("m"), Live())
        await client.tell(killing.mortal("m"), Kill())
        await client.tell(killing.mortal("m"), Live())
        process = await killing.run(world, killing.app)
        assert killing.deaths == 5
        assert state(process, "mortal/m") == Lives(count=2)
        (letter,) = [letter for letter in world.records(client, DEAD_LETTERS) if isinstance(letter, DeadLetter)]
        assert letter.reason == "failed"

    play(history)


class Set(Message):
    """Set a timer whose message kills."""


def test_a_timer_that_kills_the_process_each_time_is_buried_too() -> None:
    async def history(world: VirtualWorld) -> None:
        killing = Killing()

        def decide(state: Lives, message: Kill | Live | Set, context: Context) -> Decision[Lived]:
            if isinstance(message, Set):
                return accept(Lived(), timers=[timer("t", 10, Kill())])
            return killing.decide(state, message, context)

        mortal = Behaviour("mortal", initial=Lives, decide=decide, evolve=killing.evolve)
        mortal_app = App("killing", mortal)
        client = await world.connect()
        await client.tell(mortal("m"), Set())
        process = await killing.run(world, mortal_app)
        await client.tell(mortal("m"), Live())
        await asyncio.sleep(1)
        assert killing.deaths == 6  # the first time with the progress of setting it
        assert state(process, "mortal/m") == Lives(count=2)
        assert len(world.stored(DEAD_LETTERS)) == 1

    play(history)


def test_an_innocent_message_in_whose_handling_the_process_was_killed_once_is_handled() -> None:
    async def history(world: VirtualWorld) -> None:
        killing = Killing()
        client = await world.connect()
        await client.tell(killing.mortal("m"), Kill())
        for number in range(4):  # in vain three times, and once in careful mode
            killing.process = await world.start_node(killing.app, name=f"run {number}")
            await asyncio.sleep(3)
        assert killing.deaths == 4
        killing.process = None
        process = await world.start_node(killing.app, name="the last")
        await asyncio.sleep(3)
        assert state(process, "mortal/m") == Lives(count=1)

    play(history)


# --- changed code -------------------------------------------------------------------------------------------------------


class Stay(Message):
    """Set the timer again."""


class Stayed(Event):
    """It was set."""


class Stays(State):
    count: int = 0


def evolve_by_one(state: Stays, _event: Stayed) -> Stays:
    return Stays(count=state.count + 1)


def evolve_by_two(state: Stays, _event: Stayed) -> Stays:
    return Stays(count=state.count + 2)


def decide_live(_state: Stays, _message: Stay, _context: Context) -> Decision[Stayed]:
    return accept(Stayed(), timers=[timer("t", 3_600_000, Stay())])


def test_a_state_that_other_code_made_is_folded_again_from_its_first_event() -> None:
    async def history(world: VirtualWorld) -> None:
        one = Behaviour("lively", initial=Stays, decide=decide_live, evolve=evolve_by_one)
        two = Behaviour("lively", initial=Stays, decide=decide_live, evolve=evolve_by_two)
        client = await world.connect()
        first = await world.start_node(App("stays", one), name="first", options=ShardOptions(idle_ms=20))
        for _ in range(5):
            await client.tell(one("l"), Stay())
            await asyncio.sleep(0.1)
        assert state(first, "lively/l") == Stays(count=5)
        first.kill()
        second = await world.start_node(App("stays", two), name="second")
        await asyncio.sleep(2)
        assert state(second, "lively/l") == Stays(count=10)
        cell = second.node.open_shards()[0].memory.actors.get("lively/l")
        assert cell is not None
        assert list(cell.timers) == ["t"]
        assert cell.timers["t"].generation == 5

    play(history)
