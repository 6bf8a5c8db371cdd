"""Histories that once stopped a shard, lost an input or made two of one: each is played against a node on a simulated log."""

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, Field, create_model

from hms.core.address import Address
from hms.core.app import App
from hms.core.behaviour import Behaviour, Context
from hms.core.client import connect
from hms.core.decision import Decision, accept
from hms.core.errors import Refused, ValidationFailed
from hms.core.fingerprint import fingerprint
from hms.core.log.port import DEAD_LETTERS, NORMAL, SCHEMAS, Draft
from hms.core.log.simulated import SimulatedBroker
from hms.core.runtime.dedup import AnswerTable, Remembered
from hms.core.runtime.node import Node
from hms.core.runtime.shard_options import ShardOptions
from hms.core.runtime.view import View
from hms.schemas import Envelope, Event, Message, State, new_id

from .mischief import APP, Do, Said, World, doer, evolve, idle_commits, play, world


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
            await here.client.ask(doer("a"), Do(what=what), timeout_ms=30_000)
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
                answer = await here.client.ask(doer("a"), Do(what="other"), id=f"ask-{number}", timeout_ms=30_000)
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
            assert await late.ask(doer("b"), Do(what="x"), timeout_ms=30_000) == Said(text="done")

    play(history)


def test_an_id_from_the_future_that_is_forgotten_makes_nobody_elses_id_too_old() -> None:
    answers = AnswerTable(ShardOptions(answers_max=1))
    now_us, year_us = 1_800_000_000_000_000, 31_536_000_000_000
    answers.remember(Remembered("client/a", new_id(now_us + year_us), "doer/a", 2, now_us, "decided", b""), 0, 0)
    answers.remember(Remembered("client/b", new_id(now_us), "doer/a", 2, now_us + 1, "decided", b""), 0, 0)
    answers.forget(now_us + 2, now_us + 1)
    assert len(answers) == 1
    assert not answers.too_old(new_id(now_us + 1_000_000), 2, now_us + 1_000_000)


def test_forgetting_in_a_busy_lane_refuses_nothing_that_waits_in_another() -> None:
    answers = AnswerTable(ShardOptions(answers_max=1))
    at_us, critical, low = 1_800_000_000_000_000, 0, 3
    for number in range(3):
        created = new_id(at_us + number * 1_000)
        answers.remember(Remembered("client/a", created, "doer/a", critical, at_us + number, "decided", b""), 0, 0)
    answers.forget(at_us + 3_600_000_000, at_us + 10)
    waiting = new_id(at_us)
    assert not answers.too_old(waiting, low, at_us + 5), "appended before the forgetting, in another lane"
    assert answers.too_old(waiting, critical, at_us + 5), "may be one of the forgotten"
    assert answers.too_old(waiting, low, at_us + 11), "sent again after the forgetting"


def test_remembered_answers_are_bounded_by_their_bytes_too() -> None:
    answers = AnswerTable(ShardOptions(answers_bytes_max=10_000))
    for number in range(20):
        answers.remember(Remembered("client/a", f"id-{number}", "doer/a", 2, 1, "decided", b"x" * 1_000), number, 0)
    answers.forget(2, 1)
    assert 5 <= len(answers) <= 10
    assert answers.find(("client/a", "id-19", "doer/a")) is not None


def test_one_id_asked_of_two_actors_gives_each_asker_his_own_answer() -> None:
    async def history(here: World) -> None:
        first = here.client.ask(doer("a"), Do(what="say much", count=1), id="same", timeout_ms=30_000)
        second = here.client.ask(doer("b"), Do(what="say much", count=2), id="same", timeout_ms=30_000)
        assert [answer.text for answer in await asyncio.gather(first, second)] == ["x", "xx"]

    play(history)


def test_an_ask_that_is_cancelled_leaves_another_with_the_same_id_waiting() -> None:
    async def main() -> None:
        log = SimulatedBroker(1).connect("process")
        async with connect(log, name="test") as client:
            asks = (client.ask(doer("a"), Do(what="x"), id="same", timeout_ms=30_000) for _ in range(2))
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
            await here.client.ask(doer("a"), Do(what="say much", count=400_001), timeout_ms=30_000)
        assert await here.works_on() == 1

    play(history)


def test_a_timer_of_a_quarantined_actor_is_a_dead_letter() -> None:
    async def history(here: World) -> None:
        await here.client.tell(doer("a"), Do(what="set a timer", count=200))
        await here.client.tell(doer("a"), Do(what="evolve to nothing"))
        async with asyncio.timeout(30):
            while await here.dead_letter_count() < 2:
                await here.log.wait({(DEAD_LETTERS, 0): 1 << 30}, 20)
        assert await here.works_on() == 1

    play(history)


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
            async with asyncio.timeout(30):
                while (restored := await View(here.log, [app]).actor("clock/a")) is None:  # noqa: ASYNC110 - a view tells nobody
                    await asyncio.sleep(0.01)
            live = here.node.open_shards()[0].memory.actors.get("clock/a")
            assert live is not None
            assert live.state == restored.state == Hour(hour=7)

    asyncio.run(main())
