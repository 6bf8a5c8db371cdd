"""Which effects begin, and which do not: handlers that end oddly, reactions that come and go with the code."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hms.core.address import Address
from hms.core.app import App
from hms.core.behaviour import Behaviour, Context, Effect, Reaction, on
from hms.core.client import connect
from hms.core.decision import Decision, accept
from hms.core.errors import ValidationFailed
from hms.core.log.simulated import SimulatedBroker
from hms.core.runtime.node import Node
from hms.core.runtime.shard_options import ShardOptions
from hms.core.runtime.view import View
from hms.schemas import Event, Message, Record, State

from .mischief import FAST, World, checkpointed, world


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
    async with asyncio.timeout(30):
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
            await asyncio.wait_for(ran_after.wait(), 30)
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
            await asyncio.wait_for(ran_after.wait(), 30)
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
        await asyncio.wait_for(first.wait_owning(2), 30)
        async with connect(broker.connect("client"), name="test") as client:
            for key in "abcdefgh":
                await client.tell(Address[Begin](f"does/{key}"), Begin(what="x"))
            await asyncio.wait_for(begun.wait(), 30)
        running = list(first._owned.values())
        await second.start()
        async with asyncio.timeout(30):
            while len(first.open_shards()) == 2:  # noqa: ASYNC110 - a node tells nobody that it gives a shard up
                await asyncio.sleep(0.005)
        await first.stop()
        assert all(task.done() for task in running)
        await second.stop()

    asyncio.run(main())
