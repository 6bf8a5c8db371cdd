"""Histories that once stopped a shard, lost an input or made two of one: each is played against a node on a simulated log."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest

from hms.core.app import App
from hms.core.behaviour import Behaviour, Context
from hms.core.client import Client, connect
from hms.core.decision import Decision, accept, refuse
from hms.core.errors import Refused, ValidationFailed
from hms.core.log.port import DEAD_LETTERS, NORMAL, SCHEMAS, Draft, Log
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


def decide(_: Held, message: Do, __: Context) -> Decision[Did]:
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
async def world(broker: SimulatedBroker | None = None, app: App = APP) -> AsyncIterator[World]:
    log = (broker or SimulatedBroker(1)).connect("process")
    async with (
        Node(log, [app], name="node", options=ShardOptions(idle_ms=20)) as node,
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


async def idle_commits(here: World, count: int = 3) -> None:
    """Wait until the shard has been idle for a few rounds, so that it wrote what it could write."""
    async with asyncio.timeout(5):
        await here.works_on()
        before = here.node.statistics().shards[0].commit_count
        while here.node.statistics().shards[0].commit_count == before:  # noqa: ASYNC110 - a shard tells nobody that it is idle
            await asyncio.sleep(0.005)
        for _ in range(count):
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
    answers.remember(Remembered("client/a", new_id(now_us + year_us), "doer/a", now_us, "decided", b""), 0, 0)
    answers.remember(Remembered("client/b", new_id(now_us), "doer/a", now_us + 1, "decided", b""), 0, 0)
    answers.forget(now_us + 2)
    assert len(answers) == 1
    assert not answers.too_old(new_id(now_us + 1_000_000), now_us + 1_000_000)


def test_remembered_answers_are_bounded_by_their_bytes_too() -> None:
    answers = AnswerTable(ShardOptions(answers_bytes_max=10_000))
    for number in range(20):
        answers.remember(Remembered("client/a", f"id-{number}", "doer/a", 1, "decided", b"x" * 1_000), number, 0)
    answers.forget(2)
    assert 5 <= len(answers) <= 10
    assert answers.find(("client/a", "id-19", "doer/a")) is not None
