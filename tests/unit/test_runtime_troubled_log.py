"""A log that is in trouble here and well there: what is concerned waits, nothing else does, and nobody is told what is not so."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hms.core.client import Client
from hms.core.errors import (
    AppendUnknown,
    AskTimedOut,
    LogUnreachable,
    NotAuthorised,
    PositionTrimmed,
)
from hms.core.log.port import DEAD_LETTERS, EVENTS, HIGH, LANES, NORMAL, OUTBOX, Draft, Slice, Watermarks
from hms.core.log.simulated import SimulatedBroker
from hms.core.log.simulated.broker import STRANGER
from hms.core.log.simulated.log import SimulatedLog
from hms.core.log.simulated.writer import SimulatedWriter
from hms.core.runtime.commit_record import SHARD_KEY
from hms.core.runtime.history import records_between
from hms.core.runtime.node import Node
from hms.core.runtime.outbox import follow
from hms.core.runtime.shard_options import ShardOptions
from hms.core.testing.simulation.cast import Beat, Deposit, account, behaviours, watchdog
from hms.core.testing.virtual_clock import VirtualClock
from hms.core.testing.virtual_world import VirtualWorld, play

AWAY = LogUnreachable("its leader is away")


class TroubledLog(SimulatedLog):
    """A handle whose calls fail as `trouble` says: it is given the call's name and its topics, and may return an error."""

    def __init__(self, broker: SimulatedBroker, node: str) -> None:
        super().__init__(broker, node)
        self.trouble: Callable[[str, list[str]], Exception | None] = lambda _call, _topics: None

    def _meet(self, call: str, topics: list[str]) -> None:
        if (error := self.trouble(call, topics)) is not None:
            raise error

    async def read(
        self, topic: str, partition: int, position: int, *, records_max: int = 500, headers: bool = True
    ) -> Slice:
        self._meet("read", [topic])
        return await super().read(topic, partition, position, records_max=records_max, headers=headers)

    async def watermarks(self, topic: str, partition: int) -> Watermarks:
        self._meet("watermarks", [topic])
        return await super().watermarks(topic, partition)

    async def append(self, drafts: Sequence[Draft]) -> list[int]:
        offsets = await super().append(drafts)
        self._meet("append", [draft.topic for draft in drafts])
        return offsets

    async def open_writer(self, shard: int, owner: str) -> "TroubledWriter":
        writer = await super().open_writer(shard, owner)
        return TroubledWriter(self, shard, writer.epoch, owner)


class TroubledWriter(SimulatedWriter):
    async def _commit(self, drafts: Sequence[Draft]) -> list[int]:
        self._log._meet("commit", [draft.topic for draft in drafts])  # type: ignore[attr-defined]
        return await super()._commit(drafts)


async def start(world: VirtualWorld, **options: Any) -> tuple[Node, TroubledLog]:
    """Start a node of the cast on a log that can get into trouble."""
    log = TroubledLog(world.broker, "node")
    clock = VirtualClock(world.loop)
    node = Node(log, behaviours(), name="node", clock=clock, options=ShardOptions(**options))
    with world.loop.process("node"):
        await world.loop.create_task(node.start())
    return node, log


async def troubled_client(world: VirtualWorld) -> tuple[Client, TroubledLog]:
    log = TroubledLog(world.broker, "client")
    client = Client(log, "test", world.clock, random=lambda count: b"\1" * count)
    await client.start()
    return client, log


def on(call: str, topic: str, error: Exception) -> Callable[[str, list[str]], Exception | None]:
    return lambda called, topics: error if called == call and topic in topics else None


def test_what_becomes_visible_between_a_read_and_the_question_for_the_end_is_read() -> None:
    async def history(world: VirtualWorld) -> None:
        log = TroubledLog(world.broker, "reader")
        hung = world.broker.begin(STRANGER, 3_600_000)
        world.broker.produce([Draft(EVENTS, 0, b"stranger/1", b"never")], hung)
        world.broker.produce([Draft(EVENTS, 0, b"account/a", b"hidden behind it")])

        def ends(call: str, _topics: list[str]) -> None:
            if call == "watermarks" and world.broker.is_open(hung):
                world.broker.end(hung, committed=False)

        end = (await log.watermarks(EVENTS, 0)).high
        log.trouble = ends
        values = [stored.value async for records in records_between(log, EVENTS, 0, 0, end) for stored in records]
        assert values == [b"hidden behind it"]

    play(history)


def test_a_lane_that_cannot_be_read_holds_up_no_other_and_goes_on_by_itself() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        _, log = await start(world)
        await client.ask(account("anna"), Deposit(cents=1))
        log.trouble = on("read", NORMAL, AWAY)
        slow = asyncio.ensure_future(client.ask(account("anna"), Deposit(cents=1)))
        for _ in range(20):
            answer = await client.ask(account("ben"), Deposit(cents=1), priority="high", timeout_ms=1_000)
        assert answer.cents == 20
        assert not slow.done()
        log.trouble = lambda _call, _topics: None
        assert (await slow).cents == 2

    play(history)


def test_nobody_is_judged_silent_while_signs_of_life_may_wait_in_a_lane_that_cannot_be_read() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        node, log = await start(world)
        await client.tell(watchdog("w"), Beat())
        await asyncio.sleep(0.05)
        log.trouble = on("read", NORMAL, AWAY)
        await client.tell(watchdog("w"), Beat())
        await asyncio.sleep(60)
        cell = node.open_shards()[0].memory.actors.get("watchdog/w")
        assert cell is not None
        assert cell.state.silent == 0  # type: ignore[attr-defined]
        log.trouble = lambda _call, _topics: None
        await asyncio.sleep(40)
        assert cell.state.heard == 2  # type: ignore[attr-defined]
        assert cell.state.silent > 0  # type: ignore[attr-defined]

    play(history)


def test_a_shard_none_of_whose_lanes_could_be_read_for_long_works_within_seconds_once_they_can() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        _, log = await start(world)
        log.trouble = lambda call, topics: AWAY if call == "read" and topics[0] in LANES else None
        with pytest.raises(AskTimedOut):
            await client.ask(account("anna"), Deposit(cents=1), timeout_ms=100_000)
        log.trouble = lambda _call, _topics: None
        assert (await client.ask(account("anna"), Deposit(cents=1), timeout_ms=3_000)).cents == 2

    play(history)


def test_a_message_whose_commit_the_log_refuses_again_and_again_is_never_taken_for_a_killer() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        _, log = await start(world)
        await client.ask(account("anna"), Deposit(cents=1))
        log.trouble = on("commit", OUTBOX, AWAY)  # openings and announcements answer nobody: they succeed
        asked = asyncio.ensure_future(client.ask(account("anna"), Deposit(cents=1), timeout_ms=600_000))
        await asyncio.sleep(60)
        log.trouble = lambda _call, _topics: None
        assert (await asked).cents == 2
        assert world.stored(DEAD_LETTERS) == []

    play(history)


def test_after_a_lost_answer_nobody_is_told_that_nothing_was_written() -> None:
    async def history(world: VirtualWorld) -> None:
        client, log = await troubled_client(world)
        await client.tell(account("anna"), Deposit(cents=1))
        errors: list[Exception] = [AppendUnknown("no answer"), *[AWAY] * 5]
        log.trouble = lambda call, topics: errors.pop(0) if call == "append" and NORMAL in topics and errors else None
        await client.tell(account("anna"), Deposit(cents=1))
        assert errors == []
        log.trouble = lambda call, _topics: None if call != "append" else AppendUnknown("no answer")
        with pytest.raises(AppendUnknown, match="tell it again with id='mine' and it counts once"):
            await client.tell(account("anna"), Deposit(cents=1), id="mine", timeout_ms=1_000)
        log.trouble = on("append", NORMAL, AWAY)
        with pytest.raises(LogUnreachable):
            await client.tell(account("anna"), Deposit(cents=1))

    play(history)


@pytest.mark.parametrize(
    "error",
    [NotAuthorised("the token is being renewed"), AWAY],
    ids=lambda e: type(e).__name__,
)
def test_whoever_waits_for_answers_outlasts_what_the_log_refuses(error: Exception) -> None:
    async def history(world: VirtualWorld) -> None:
        await start(world)
        client, log = await troubled_client(world)
        log.trouble = on("read", OUTBOX, error)
        await asyncio.sleep(5)
        log.trouble = lambda _call, _topics: None
        assert (await client.ask(account("anna"), Deposit(cents=1), timeout_ms=5_000)).cents == 1

    play(history)


def test_whoever_waits_for_what_is_new_goes_on_where_a_log_that_was_made_anew_ends() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        found = follow(client.log, client.schemas, "client/x", 99)
        heard = asyncio.ensure_future(anext(found))
        await asyncio.sleep(5)
        letter = await client._draft("client/x", Deposit(cents=7), "letter", None, "normal", None)
        await client.log.append([letter])
        (envelope, record), position = await asyncio.wait_for(heard, 5)
        assert (envelope.id, record, position) == ("letter", Deposit(cents=7), 1)
        await found.aclose()  # type: ignore[attr-defined]

    play(history)


def test_a_lane_whose_head_was_deleted_breaks_the_shard_loudly_and_for_good() -> None:
    async def history(world: VirtualWorld) -> None:
        node, log = await start(world)
        await node.wait_owning(1)
        log.trouble = on("read", HIGH, PositionTrimmed(HIGH, 0, 0, 7))
        client = await world.connect()
        await client.tell(account("anna"), Deposit(cents=1))
        await asyncio.sleep(5)
        (broken,) = node.statistics().broken
        assert "the first record kept is 7" in broken

    play(history)


def test_a_commit_holds_no_more_bytes_than_it_may() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        for number in range(200):
            await client.tell(account(f"a{number}"), Deposit(cents=1))
        sizes: list[int] = []
        node, _ = await start(world, commit_bytes_max=5_000)
        await asyncio.sleep(10)
        size = 0
        for stored in world.stored(EVENTS):
            if stored.key.startswith(SHARD_KEY):
                sizes.append(size)
                size = 0
            else:
                size += len(stored.value or b"")
        assert node.statistics().shards[0].input_count == 200
        assert max(sizes) < 6_000
        assert len(sizes) > 8

    play(history)
