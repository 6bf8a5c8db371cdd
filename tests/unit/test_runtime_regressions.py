"""Histories that once stopped a shard, lost an input or made two of one: each is played against a node on a simulated log."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, NamedTuple

import pytest
from pydantic import AfterValidator, Field, create_model

from hms.core.address import Address
from hms.core.app import App
from hms.core.behaviour import Behaviour, Context, Effect, Reaction, on
from hms.core.client import Client, connect
from hms.core.decision import Decision, accept, refuse, timer
from hms.core.errors import Refused, ValidationFailed
from hms.core.fingerprint import fingerprint
from hms.core.log.port import CHECKPOINTS, DEAD_LETTERS, NORMAL, SCHEMAS, Draft, Log
from hms.core.log.simulated import SimulatedBroker
from hms.core.runtime.dedup import AnswerTable, Remembered
from hms.core.runtime.node import Node
from hms.core.runtime.shard_options import ShardOptions
from hms.core.runtime.view import View
from hms.schemas import Envelope, Event, Message, Record, State, new_id


class Said(Record):
    text: str


class Do(Message[Said]):
    what: str
    count: int = 0


class Did(Event):
    what: str
    count: int = 0


class Elsewhere(Event):
    pass


class Held(State):
    total: int = 0
    text: str = ""


class Poke(Message):
    pass


def decide(_: Held, message: Do, __: Context) -> Decision[Did]:  # noqa: PLR0911 - a line a mischief
    match message.what:
        case "return nothing":
            return None  # type: ignore[return-value]
        case "raise cancelled":
            raise asyncio.CancelledError
        case "raise surrogate":
            raise ValueError("no such file: \udcff")
        case "refuse at length":
            return refuse("long", "x" * 1_000_000)
        case "refuse surrogate":
            return refuse("bad", "\ud800")
        case "foreign event":
            return accept(Elsewhere())  # type: ignore[arg-type]
        case "say much":
            return accept(reply=Said(text="x" * message.count))
        case "set a timer":
            return accept(timers=[timer("t", message.count, Do(what="from the timer"))])
    return accept(Did(what=message.what, count=message.count), reply=Said(text="done"))


def evolve(state: Held, event: Did) -> Held:
    match event.what:
        case "evolve to nothing":
            return None  # type: ignore[return-value]
        case "state of a wrong type":
            return state.model_copy(update={"total": "text"})
        case "grow":
            return state.model_copy(update={"text": state.text + "x" * event.count})
    return state.model_copy(update={"total": state.total + event.count})


def decide_elsewhere(_: Held, __: Poke, ___: Context) -> Decision[Elsewhere]:
    return accept(Elsewhere())


def evolve_elsewhere(state: Held, _: Elsewhere) -> Held:
    return state


doer = Behaviour("doer", initial=Held, decide=decide, evolve=evolve)
FAST = ShardOptions(idle_ms=20)
APP = App("regressions", doer, Behaviour("elsewhere", initial=Held, decide=decide_elsewhere, evolve=evolve_elsewhere))


class World(NamedTuple):
    log: Log
    node: Node
    client: Client

    async def works_on(self) -> int:
        """Ask another actor of the shard; return the epoch: 1 when the shard was never dropped."""
        assert await self.client.ask(doer("bystander"), Do(what="live"), timeout_ms=5_000) == Said(text="done")
        return self.node.statistics().shards[0].epoch

    async def dead_letter_count(self) -> int:
        return len((await self.log.read(DEAD_LETTERS, 0, 0)).records)

    async def put(self, what: str, **changes: Any) -> None:
        """Append a message as a stranger would, with an envelope of his making."""
        record_type = await self.client._type_of(Do)
        id_ = new_id(self.client._clock.wall_us())
        envelope = Envelope(id_, "client/stranger", "doer/a", record_type.name, 1, "correlation")._replace(**changes)
        value = record_type.encode(Do(what=what), envelope)
        await self.log.append([Draft(NORMAL, 0, envelope.destination.encode(), value)])


@asynccontextmanager
async def world(
    broker: SimulatedBroker | None = None, app: App = APP, options: ShardOptions = FAST
) -> AsyncIterator[World]:
    log = (broker or SimulatedBroker(1)).connect("process")
    async with (
        Node(log, [app], name="node", options=options) as node,
        connect(log, name="test") as client,
    ):
        await asyncio.wait_for(node.wait_owning(1), 5)
        yield World(log, node, client)
    await log.close()


def play(history: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with world() as here:
            await history(here)

    asyncio.run(main())


async def checkpointed(here: World) -> None:
    """Wait until the shard, idle, has written checkpoints."""
    async with asyncio.timeout(5):
        while not (await here.log.read(CHECKPOINTS, 0, 0)).records:
            await here.log.wait({(CHECKPOINTS, 0): 0}, 50)


async def idle_commits(here: World) -> None:
    """Let the shard be idle for a few rounds, so that it wrote what it could write."""
    await here.works_on()
    await checkpointed(here)
    for _ in range(3):
        await here.log.wait({(NORMAL, 0): 1 << 30}, 30)


@pytest.mark.parametrize(
    "changes",
    [
        {"priority": "urgent", "reply_to": "doer/b"},
        {"reply_to": "client/" + "x" * 450_000},
        {"id": "i" * 450_000, "reply_to": "client/c"},
        {"destination": "doer/" + "k" * 430_000},
        {"destination": "doer"},
        {"reply_to": ""},
    ],
    ids=["priority", "reply_to", "id", "destination", "no key", "empty reply_to"],
)
def test_an_envelope_that_cannot_be_answered_is_a_dead_letter_and_the_shard_goes_on(changes: dict[str, str]) -> None:
    async def history(here: World) -> None:
        await here.put("raise surrogate", **changes)
        assert await here.works_on() == 1
        assert await here.dead_letter_count() >= 1

    play(history)


def test_a_client_hears_at_once_that_its_envelope_is_not_taken() -> None:
    async def history(here: World) -> None:
        with pytest.raises(ValidationFailed, match="at most 1000 characters"):
            await here.client.tell(doer("a"), Do(what="x"), id="i" * 1_001)
        with pytest.raises(ValidationFailed, match="expected a priority"):
            await here.client.tell(doer("a"), Do(what="x"), priority="urgent")  # type: ignore[arg-type]

    play(history)


@pytest.mark.parametrize(
    "what", ["return nothing", "raise cancelled", "raise surrogate", "foreign event", "evolve to nothing"]
)
def test_whatever_decide_and_evolve_do_is_a_dead_letter_and_the_shard_goes_on(what: str) -> None:
    async def history(here: World) -> None:
        await here.client.tell(doer("a"), Do(what=what))
        assert await here.works_on() == 1
        assert await here.dead_letter_count() == 1

    play(history)


@pytest.mark.parametrize("what", ["refuse at length", "refuse surrogate"])
def test_a_refusal_of_any_text_reaches_the_one_who_asked(what: str) -> None:
    async def history(here: World) -> None:
        with pytest.raises(Refused):
            await here.client.ask(doer("a"), Do(what=what), timeout_ms=5_000)
        assert await here.works_on() == 1

    play(history)


@pytest.mark.parametrize(
    ("what", "count", "times"),
    [("state of a wrong type", 0, 1), ("grow", 100_000, 12), ("add", 2**62, 3)],
    ids=["wrong type", "too large", "beyond 64 bits"],
)
def test_a_state_that_no_checkpoint_can_hold_stays_a_fold_of_its_events(what: str, count: int, times: int) -> None:
    async def main() -> None:
        broker = SimulatedBroker(1)
        async with world(broker) as here:
            for _ in range(times):
                await here.client.tell(doer("a"), Do(what=what, count=count))
            await idle_commits(here)
            assert await here.works_on() == 1
        async with world(broker) as here:
            assert await here.works_on() == 2
            seen = await View(here.log, [APP]).actor("doer/a")
            assert seen is not None
            assert seen.event_count == times

    asyncio.run(main())


def test_answers_that_no_single_record_can_hold_are_sealed_in_several() -> None:
    async def main() -> None:
        broker = SimulatedBroker(1)
        async with world(broker) as here:
            for number in range(60):
                await here.client.ask(doer("a"), Do(what="say much", count=20_000), id=f"ask-{number}")
            await idle_commits(here)
            assert await here.works_on() == 1
        async with world(broker) as here:
            for number in (0, 59):
                answer = await here.client.ask(doer("a"), Do(what="other"), id=f"ask-{number}", timeout_ms=5_000)
                assert answer == Said(text="x" * 20_000)

    asyncio.run(main())


def test_a_schema_that_nobody_can_use_stops_neither_shard_nor_client() -> None:
    async def history(here: World) -> None:
        await here.log.append(
            [Draft(SCHEMAS, 0, b"garbage", b"no schema"), Draft(SCHEMAS, 0, b"7", b'{"type": "int"}')]
        )
        await here.log.append([Draft(NORMAL, 0, b"doer/a", b"\0\1\2\3\4unknown")])
        assert await here.works_on() == 1
        assert await here.dead_letter_count() == 1
        async with connect(here.log, name="late") as late:
            assert await late.ask(doer("b"), Do(what="x"), timeout_ms=5_000) == Said(text="done")

    play(history)


def test_an_id_from_the_future_that_is_forgotten_makes_nobody_elses_id_too_old() -> None:
    answers = AnswerTable(ShardOptions(answers_max=1))
    now_us, year_us = 1_800_000_000_000_000, 31_536_000_000_000
    answers.remember(Remembered("client/a", new_id(now_us + year_us), "doer/a", 2, now_us, "decided", b""), 0, 0)
    answers.remember(Remembered("client/b", new_id(now_us), "doer/a", 2, now_us + 1, "decided", b""), 0, 0)
    answers.forget(now_us + 2)
    assert len(answers) == 1
    assert not answers.too_old(new_id(now_us + 1_000_000), 2, now_us + 1_000_000)


def test_forgetting_in_a_busy_lane_refuses_nothing_that_waits_in_another() -> None:
    answers = AnswerTable(ShardOptions(answers_max=1))
    at_us, critical, low = 1_800_000_000_000_000, 0, 3
    for number in range(3):
        created = new_id(at_us + number * 1_000)
        answers.remember(Remembered("client/a", created, "doer/a", critical, at_us + number, "decided", b""), 0, 0)
    answers.forget(at_us + 10)
    waiting = new_id(at_us)
    assert not answers.too_old(waiting, low, at_us + 5), "appended before the forgetting, in another lane"
    assert answers.too_old(waiting, critical, at_us + 5), "may be one of the forgotten"
    assert answers.too_old(waiting, low, at_us + 11), "sent again after the forgetting"


def test_remembered_answers_are_bounded_by_their_bytes_too() -> None:
    answers = AnswerTable(ShardOptions(answers_bytes_max=10_000))
    for number in range(20):
        answers.remember(Remembered("client/a", f"id-{number}", "doer/a", 2, 1, "decided", b"x" * 1_000), number, 0)
    answers.forget(2)
    assert 5 <= len(answers) <= 10
    assert answers.find(("client/a", "id-19", "doer/a")) is not None


class Begin(Message):
    what: str


class Ended(Message):
    what: str


class NoMessage(Record):
    pass


class Begun(Event):
    what: str


class Over(Event):
    what: str


class Doing(State):
    begun: int = 0
    over: tuple[str, ...] = ()


def decide_doing(_: Doing, message: Begin | Ended, __: Context) -> Decision[Begun | Over]:
    match message:
        case Begin():
            return accept(Begun(what=message.what))
        case Ended():
            return accept(Over(what=message.what))


def evolve_doing(state: Doing, event: Begun | Over) -> Doing:
    match event:
        case Begun():
            return state.model_copy(update={"begun": state.begun + 1})
        case Over():
            return state.model_copy(update={"over": (*state.over, event.what)})


def evolve_doing_anew(state: Doing, event: Begun | Over) -> Doing:
    match event:
        case Begun():
            return state.model_copy(update={"begun": state.begun + 2})
        case Over():
            return state.model_copy(update={"over": (*state.over, event.what)})


async def perform(event: Begun, _: Effect) -> Message[Any] | None:
    if event.what == "return no message":
        return NoMessage()  # type: ignore[return-value]
    if event.what == "await what was cancelled":
        cancelled = asyncio.ensure_future(asyncio.sleep(60))
        cancelled.cancel()
        await cancelled
    return Ended(what=event.what)


DOES: dict[str, Any] = {"decide": decide_doing, "evolve": evolve_doing}


def effectful(*reactions: Reaction, evolve: Callable[[Doing, Begun | Over], Doing] = evolve_doing) -> App:
    return App("effectful", Behaviour("does", initial=Doing, decide=decide_doing, evolve=evolve, effects=reactions))


async def seen(here: World, app: App, condition: Callable[[Any], bool]) -> Any:
    """Return the state of does/a as soon as it is as wanted."""
    async with asyncio.timeout(5):
        while True:
            found = await View(here.log, [app]).actor("does/a")
            if found is not None and condition(found.state):
                return found.state
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("what", ["return no message", "await what was cancelled"])
def test_an_effect_whose_handler_ends_oddly_does_not_hold_up_the_next_one(what: str) -> None:
    async def main() -> None:
        app = effectful(on(Begun, perform))
        options = ShardOptions(idle_ms=20, effect_attempts=2, effect_backoff_ms=1)
        async with world(app=app, options=options) as here:
            await here.client.tell(Address[Begin]("does/a"), Begin(what=what))
            await here.client.tell(Address[Begin]("does/a"), Begin(what="next"))
            assert (await seen(here, app, lambda state: bool(state.over))).over == ("next",)

    asyncio.run(main())


def test_a_reaction_added_with_a_new_fold_does_not_happen_for_old_events() -> None:
    async def main() -> None:
        broker = SimulatedBroker(1)
        old = effectful()
        ran: list[str] = []
        ran_after = asyncio.Event()

        async def late(event: Begun, _: Effect) -> None:
            ran.append(event.what)
            if event.what == "after":
                ran_after.set()

        new = effectful(on(Begun, late), evolve=evolve_doing_anew)
        async with world(broker, old) as here:
            await here.client.tell(Address[Begin]("does/a"), Begin(what="before"))
            await seen(here, old, lambda state: state.begun == 1)
            await checkpointed(here)
        async with world(broker, new) as here:
            await here.client.tell(Address[Begin]("does/a"), Begin(what="after"))
            await seen(here, new, lambda state: state.begun == 4)
            await asyncio.wait_for(ran_after.wait(), 5)
        assert ran == ["after"]

    asyncio.run(main())


def test_a_reaction_added_under_the_same_fold_does_not_happen_for_old_events() -> None:
    async def main() -> None:
        broker = SimulatedBroker(1)
        ran: list[str] = []
        ran_after = asyncio.Event()

        async def late(event: Begun, _: Effect) -> None:
            ran.append(event.what)
            if event.what == "after":
                ran_after.set()

        new = effectful(on(Begun, late))
        async with world(broker, effectful()) as here:
            await here.client.tell(Address[Begin]("does/a"), Begin(what="before"))
            await seen(here, effectful(), lambda state: state.begun == 1)
        async with world(broker, new) as here:
            await here.client.tell(Address[Begin]("does/a"), Begin(what="after"))
            await asyncio.wait_for(ran_after.wait(), 5)
        assert ran == ["after"]

    asyncio.run(main())


def test_a_node_without_a_behaviour_that_the_log_holds_does_not_start() -> None:
    async def main() -> None:
        broker = SimulatedBroker(1)
        both = App("effectful", *effectful().behaviours.values(), Behaviour("other", initial=Doing, **DOES))
        async with world(broker, both):
            pass
        with pytest.raises(ValidationFailed, match="effectful:other"):
            async with world(broker, effectful()):
                pass

    asyncio.run(main())


def test_one_id_asked_of_two_actors_gives_each_asker_his_own_answer() -> None:
    async def history(here: World) -> None:
        first = here.client.ask(doer("a"), Do(what="say much", count=1), id="same", timeout_ms=5_000)
        second = here.client.ask(doer("b"), Do(what="say much", count=2), id="same", timeout_ms=5_000)
        assert [answer.text for answer in await asyncio.gather(first, second)] == ["x", "xx"]

    play(history)


def test_an_ask_that_is_cancelled_leaves_another_with_the_same_id_waiting() -> None:
    async def main() -> None:
        log = SimulatedBroker(1).connect("process")
        async with connect(log, name="test") as client:
            asks = (client.ask(doer("a"), Do(what="x"), id="same", timeout_ms=5_000) for _ in range(2))
            first, second = map(asyncio.ensure_future, asks)
            await log.wait({(NORMAL, 0): 1}, 1_000)
            first.cancel()
            await asyncio.wait([first])
            async with Node(log, [APP], name="node"):
                assert await second == Said(text="done")
        await log.close()

    asyncio.run(main())


def test_a_burst_of_large_answers_is_committed_in_several_slices() -> None:
    async def history(here: World) -> None:
        record_type = await here.client._type_of(Do)
        value = Do(what="say much", count=20_000)
        envelopes = [Envelope(f"id-{n}", "client/x", "doer/a", record_type.name, 1, "c") for n in range(120)]
        await here.log.append([Draft(NORMAL, 0, b"doer/a", record_type.encode(value, e)) for e in envelopes])
        assert await here.works_on() == 1
        with pytest.raises(Refused, match="expected at most 400000 bytes"):
            await here.client.ask(doer("a"), Do(what="say much", count=400_001), timeout_ms=5_000)
        assert await here.works_on() == 1

    play(history)


def test_a_timer_of_a_quarantined_actor_is_a_dead_letter() -> None:
    async def history(here: World) -> None:
        await here.client.tell(doer("a"), Do(what="set a timer", count=200))
        await here.client.tell(doer("a"), Do(what="evolve to nothing"))
        async with asyncio.timeout(5):
            while await here.dead_letter_count() < 2:
                await here.log.wait({(DEAD_LETTERS, 0): 1 << 30}, 20)
        assert await here.works_on() == 1

    play(history)


def test_a_node_that_stops_while_it_gives_a_shard_up_leaves_none_running() -> None:
    async def main() -> None:
        begun = asyncio.Event()

        closing: list[str] = []

        async def slow_to_stop(event: Begun, __: Effect) -> None:
            try:
                begun.set()
                await asyncio.sleep(60)
            finally:
                closing.append(event.what)
                await asyncio.sleep(0.5 if len(closing) == 1 else 0)

        app = effectful(on(Begun, slow_to_stop))
        broker = SimulatedBroker(2)
        first, second = (Node(broker.connect(name), [app], name=name, options=FAST) for name in ("one", "two"))
        await first.start()
        await asyncio.wait_for(first.wait_owning(2), 5)
        async with connect(broker.connect("client"), name="test") as client:
            for key in "abcdefgh":
                await client.tell(Address[Begin](f"does/{key}"), Begin(what="x"))
            await asyncio.wait_for(begun.wait(), 5)
        running = list(first._owned.values())
        await second.start()
        async with asyncio.timeout(5):
            while len(first.open_shards()) == 2:  # noqa: ASYNC110 - a node tells nobody that it gives a shard up
                await asyncio.sleep(0.005)
        await first.stop()
        assert all(task.done() for task in running)
        await second.stop()

    asyncio.run(main())


def test_a_fingerprint_sees_the_constraints_of_a_state_but_not_where_a_validator_lies_in_memory() -> None:
    def print_of(field: Any) -> str:
        state = create_model("Checked", __base__=State, number=(field, 0))
        return fingerprint("checked", 1, evolve, state)

    def validated() -> Any:
        return Annotated[int, AfterValidator(lambda number: number)]

    assert print_of(validated()) == print_of(validated())
    assert print_of(Annotated[int, Field(ge=0)]) != print_of(int)


class Tick(Message):
    pass


class Noted(Event):
    at: datetime


class Hour(State):
    hour: int = -1


def decide_hour(_: Hour, __: Tick, ___: Context) -> Decision[Noted]:
    return accept(Noted(at=datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5)))))


def evolve_hour(_: Hour, event: Noted) -> Hour:
    return Hour(hour=event.at.hour)


def test_an_instant_of_another_zone_makes_the_same_state_live_and_restored() -> None:
    async def main() -> None:
        app = App("zones", Behaviour("clock", initial=Hour, decide=decide_hour, evolve=evolve_hour))
        async with world(app=app, options=ShardOptions(idle_ms=60_000)) as here:
            await here.client.tell(Address[Tick]("clock/a"), Tick())
            async with asyncio.timeout(5):
                while (restored := await View(here.log, [app]).actor("clock/a")) is None:  # noqa: ASYNC110 - a view tells nobody
                    await asyncio.sleep(0.01)
            live = here.node.open_shards()[0].memory.actors.get("clock/a")
            assert live is not None
            assert live.state == restored.state == Hour(hour=7)

    asyncio.run(main())
