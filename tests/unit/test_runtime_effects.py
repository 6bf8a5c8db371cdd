"""Effects: after the commit, in order, again after a crash, by error class, under tokens that grow."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from hms.core.app import App
from hms.core.behaviour import Behaviour, Context, Effect, on
from hms.core.decision import Decision, accept
from hms.core.errors import LogUnreachable, ValidationFailed
from hms.core.log.port import EVENTS
from hms.core.runtime.records import EffectFailed
from hms.core.runtime.shard_options import ShardOptions
from hms.core.testing.virtual_world import VirtualWorld, play
from hms.schemas import Event, Message, State


class Call(Message):
    number: int


class Answered(Message):
    number: int


class Called(Event):
    number: int


class Closed(Event):
    outcome: str


class Calls(State):
    open: int = 0
    outcomes: tuple[str, ...] = ()


def decide(_state: Calls, message: Call | Answered | EffectFailed, _context: Context) -> Decision[Called | Closed]:
    match message:
        case Call():
            return accept(Called(number=message.number))
        case Answered():
            return accept(Closed(outcome=f"answered {message.number}"))
        case EffectFailed():
            return accept(Closed(outcome=message.error))


def evolve(state: Calls, event: Called | Closed) -> Calls:
    match event:
        case Called():
            return Calls(open=state.open + 1, outcomes=state.outcomes)
        case Closed():
            return Calls(open=state.open - 1, outcomes=(*state.outcomes, event.outcome))


FAST = ShardOptions(effect_attempts=3, effect_backoff_ms=100, idle_ms=50)
Handler = Callable[[Called, Effect], Awaitable[Answered | None]]


class Phone:
    """An app whose effect is a handler of the test's; notes every call."""

    def __init__(self, handler: Handler) -> None:
        self.calls: list[tuple[int, int, int]] = []
        """(number, token, attempt)"""
        self._handler = handler
        self.caller = Behaviour("caller", initial=Calls, decide=decide, evolve=evolve, effects=[on(Called, self._call)])
        self.app = App("phone", self.caller)

    async def _call(self, event: Called, effect: Effect) -> Answered | None:
        self.calls.append((event.number, effect.token, effect.attempt))
        return await self._handler(event, effect)


async def answer(event: Called, _: Effect) -> Answered:
    return Answered(number=event.number)


def failing(error: Exception, times: int = 99) -> Handler:
    async def handler(event: Called, effect: Effect) -> Answered:
        if effect.attempt <= times:
            raise error
        return Answered(number=event.number)

    return handler


def outcomes(process: Any) -> tuple[str, ...]:
    cell = process.node.open_shards()[0].memory.actors.get("caller/c")
    state = cell.state
    assert isinstance(state, Calls)
    return state.outcomes


def test_a_result_comes_back_as_a_message_and_counts_once() -> None:
    async def history(world: VirtualWorld) -> None:
        phone = Phone(answer)
        client = await world.connect()
        process = await world.start_node(phone.app, options=FAST)
        await client.tell(phone.caller("c"), Call(number=1))
        await asyncio.sleep(1)
        assert outcomes(process) == ("answered 1",)
        assert phone.calls == [(1, 1, 1)]

    play(history)


def test_tokens_grow_and_the_next_effect_waits_for_the_retries_of_the_one_before() -> None:
    async def history(world: VirtualWorld) -> None:
        phone = Phone(failing(ConnectionError("busy"), times=2))
        client = await world.connect()
        process = await world.start_node(phone.app, options=FAST)
        for number in (1, 2):
            await client.tell(phone.caller("c"), Call(number=number))
        await asyncio.sleep(10)
        assert [(number, attempt) for number, _, attempt in phone.calls] == [(n, a) for n in (1, 2) for a in (1, 2, 3)]
        tokens = [token for _, token, _ in phone.calls]
        assert tokens == sorted(tokens)
        assert len(set(tokens)) == 2
        assert outcomes(process) == ("answered 1", "answered 2")

    play(history)


def test_actors_do_not_wait_for_each_others_effects() -> None:
    async def history(world: VirtualWorld) -> None:
        async def slow(event: Called, _: Effect) -> Answered:
            await asyncio.sleep(100 if event.number == 1 else 0)
            return Answered(number=event.number)

        phone = Phone(slow)
        client = await world.connect()
        process = await world.start_node(phone.app, options=FAST)
        await client.tell(phone.caller("slow"), Call(number=1))
        await client.tell(phone.caller("c"), Call(number=2))
        await asyncio.sleep(1)
        assert outcomes(process) == ("answered 2",)

    play(history)


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (ConnectionError("away"), 3),
        (TimeoutError("slow"), 3),
        (LogUnreachable("away"), 3),
        (ValueError("never"), 1),
        (ValidationFailed("never"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_effect_is_retried_by_error_class_and_then_its_actor_is_told(error: Exception, attempts: int) -> None:
    async def history(world: VirtualWorld) -> None:
        phone = Phone(failing(error))
        client = await world.connect()
        process = await world.start_node(phone.app, options=FAST)
        await client.tell(phone.caller("c"), Call(number=1))
        await asyncio.sleep(10)
        assert [attempt for _, _, attempt in phone.calls] == list(range(1, attempts + 1))
        (told,) = outcomes(process)
        assert str(error) in told

    play(history)


def test_attempts_are_spaced_by_a_backoff_that_doubles() -> None:
    async def history(world: VirtualWorld) -> None:
        at_ms: list[int] = []

        async def handler(_: Called, __: Effect) -> Answered:
            at_ms.append(world.loop.now_ms)
            raise ConnectionError("away")

        phone = Phone(handler)
        client = await world.connect()
        await world.start_node(phone.app, options=FAST)
        await client.tell(phone.caller("c"), Call(number=1))
        await asyncio.sleep(10)
        assert [later - earlier for earlier, later in pairwise(at_ms)] == [
            pytest.approx(100, abs=3),
            pytest.approx(200, abs=3),
        ]

    play(history)


def test_an_effect_begun_and_not_finished_is_begun_again_by_the_next_owner_under_the_same_token() -> None:
    async def history(world: VirtualWorld) -> None:
        async def hangs_first(event: Called, _: Effect) -> Answered:
            await asyncio.sleep(3_600 if len(phone.calls) == 1 else 0)
            return Answered(number=event.number)

        phone = Phone(hangs_first)
        client = await world.connect()
        first = await world.start_node(phone.app, name="first", options=FAST)
        await client.tell(phone.caller("c"), Call(number=1))
        await asyncio.sleep(1)  # a checkpoint with the pending effect is written, too
        first.kill()
        second = await world.start_node(phone.app, name="second", options=FAST)
        await asyncio.sleep(5)
        assert phone.calls == [(1, 1, 1), (1, 1, 1)]
        assert outcomes(second) == ("answered 1",)

    play(history)


def test_the_result_of_a_zombie_is_a_duplicate() -> None:
    async def history(world: VirtualWorld) -> None:
        phone = Phone(answer)
        client = await world.connect()
        first = await world.start_node(phone.app, name="first", options=FAST)
        await asyncio.sleep(0.1)
        await client.tell(phone.caller("c"), Call(number=1))
        while not phone.calls:  # noqa: ASYNC110 - one step at a time: stop it in the middle of the effect
            await asyncio.sleep(0)
        first.stop()
        second = await world.start_node(phone.app, name="second", options=FAST)
        await asyncio.sleep(5)
        assert outcomes(second) == ("answered 1",)
        first.go_on()
        await asyncio.sleep(5)
        assert outcomes(second) == ("answered 1",)
        assert len(phone.calls) == 2

    play(history)


def test_no_effect_runs_whose_event_is_not_committed() -> None:
    async def history(world: VirtualWorld) -> None:
        ends: list[int] = []

        async def handler(event: Called, _: Effect) -> Answered:
            ends.append(len(world.stored(EVENTS)))
            return Answered(number=event.number)

        phone = Phone(handler)
        client = await world.connect()
        await world.start_node(phone.app, options=FAST)
        await asyncio.sleep(0.1)
        before = len(world.stored(EVENTS))
        await client.tell(phone.caller("c"), Call(number=1))
        await asyncio.sleep(1)
        assert ends == [before + 2]  # the event and its commit record

    play(history)


def test_an_effect_without_a_result_ends_quietly() -> None:
    async def history(world: VirtualWorld) -> None:
        async def nothing(_: Called, __: Effect) -> None:
            return None

        phone = Phone(nothing)
        client = await world.connect()
        process = await world.start_node(phone.app, options=FAST)
        await client.tell(phone.caller("c"), Call(number=1))
        await asyncio.sleep(1)
        assert outcomes(process) == ()
        assert process.node.statistics().shards[0].effect_count == 0

    play(history)


def test_the_next_attempt_does_not_wait_for_a_wall_clock_that_went_back() -> None:
    async def history(world: VirtualWorld) -> None:
        async def handler(_event: Called, effect: Effect) -> Answered:
            if effect.attempt == 1:
                raise LogUnreachable("not yet")
            return Answered(number=1)

        phone = Phone(handler)
        client = await world.connect()
        process = await world.start_node(phone.app, options=FAST)
        await client.tell(phone.caller("c"), Call(number=1))
        process.clock.offset_us = -50_000_000
        await asyncio.sleep(1)
        assert [attempt for _, _, attempt in phone.calls] == [1, 2]

    play(history)
