"""What becomes of a message: ttl, order, refusals, deduplication, and input that nobody can handle."""

import asyncio
from typing import Any

import pytest

from hms.core.address import Address
from hms.core.client import Client
from hms.core.errors import Refused
from hms.core.log.port import CRITICAL, DEAD_LETTERS, EVENTS, NORMAL, OUTBOX, Draft
from hms.core.runtime.commit_record import SHARD_KEY
from hms.core.runtime.records import DeadLetter, MessageRefused
from hms.core.runtime.shard_options import ShardOptions
from hms.core.testing.simulation.cast import (
    Account,
    Append,
    Balance,
    Boom,
    Corrupt,
    Deposit,
    Fine,
    Register,
    Size,
    Transfer,
    account,
    app,
    behaviours,
    faulty,
    register,
)
from hms.core.testing.virtual_world import NodeProcess, VirtualWorld, play
from hms.schemas import Envelope, new_id

DAY_MS = 24 * 3_600_000


def state(process: NodeProcess, address: str, shard: int = 0) -> Any:
    cell = process.node.open_shards()[shard].memory.actors.get(address)
    return cell.state if cell is not None else None


def events(world: VirtualWorld, shard: int = 0) -> list[Any]:
    found = [stored for stored in world.stored(EVENTS, shard) if not stored.key.startswith(SHARD_KEY)]
    return [behaviours().contract.decode(stored.value or b"").record for stored in found]


def verdicts(world: VirtualWorld, shard: int = 0) -> list[str]:
    commits = [stored for stored in world.stored(EVENTS, shard) if stored.key.startswith(SHARD_KEY)]
    decoded: list[Any] = [behaviours().contract.decode(stored.value or b"").record for stored in commits]
    return [given.verdict for commit in decoded for given in commit.inputs]


def letters(world: VirtualWorld, client: Client, shard: int = 0) -> list[DeadLetter]:
    return [letter for letter in world.records(client, DEAD_LETTERS, shard) if isinstance(letter, DeadLetter)]


async def code_of_refusal(asking: Any) -> str:
    with pytest.raises(Refused) as refused:
        await asking
    return refused.value.refusal_code


# --- ttl ----------------------------------------------------------------------------------------------------------------


def test_a_message_lives_for_its_ttl_from_its_append_and_not_longer() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        await client.tell(register("r"), Append(operation="lives"), ttl_ms=5_000)
        await client.tell(register("r"), Append(operation="expires"), ttl_ms=500)
        await asyncio.sleep(2)
        process = await world.start_node(app)
        await client.ask(register("r"), Append(operation="last"))
        assert state(process, "register/r").operations == ("lives", "last")
        assert verdicts(world) == ["decided", "expired", "decided"]

    play(history)


def test_a_sender_whose_clock_is_wrong_changes_nothing_about_its_ttl() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        world.clock.offset_us = -3_600_000_000
        draft = await client._draft("register/r", Append(operation="claims to be old"), "id", None, "normal", 1_000)
        world.clock.offset_us = 0
        await world.start_node(app)
        await client.log.append([draft])
        await client.ask(register("r"), Append(operation="last"))
        assert verdicts(world) == ["decided", "decided"]

    play(history)


# --- order --------------------------------------------------------------------------------------------------------------


def test_order_holds_per_sender_receiver_and_lane() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        for number in range(50):
            await client.tell(register("r"), Append(operation=f"{number:02}"))
        process = await world.start_node(app, options=ShardOptions(slice_inputs_max=7, read_records=5))
        await client.ask(register("r"), Append(operation="last"))
        assert state(process, "register/r").operations == (*(f"{number:02}" for number in range(50)), "last")

    play(history)


def test_a_critical_message_is_handled_before_a_backlog_of_low_ones_and_these_are_handled_too() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        for number in range(200):
            await client.tell(register("r"), Append(operation=f"low {number}"), priority="low")
        await client.tell(register("r"), Append(operation="critical"), priority="critical")
        process = await world.start_node(app)
        await client.ask(register("r"), Append(operation="last"), priority="low")
        operations = state(process, "register/r").operations
        assert operations[0] == "critical"
        assert len(operations) == 202

    play(history)


def test_a_low_message_never_starves_behind_a_flood_of_critical_ones() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        await client.tell(register("r"), Append(operation="low"), priority="low")
        for number in range(300):
            await client.tell(register("r"), Append(operation=f"{number}"), priority="critical")
        process = await world.start_node(app)
        await client.ask(register("r"), Append(operation="last"), priority="critical")
        assert state(process, "register/r").operations.index("low") == 64

    play(history)


def test_a_message_and_an_answer_between_actors_stay_on_the_lane_of_their_cause() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        process = await world.start_node(app)
        await client.tell(register("r"), Append(operation="one", relay_to="s"), priority="critical")
        await asyncio.sleep(1)
        assert state(process, "register/r") == Register(operations=("one",), confirmations=1)
        assert len(world.stored(CRITICAL)) == 3  # the message, the one to `s`, and its answer

    play(history)


# --- refusals -----------------------------------------------------------------------------------------------------------


def test_a_refusal_reaches_the_one_who_asked() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        await world.start_node(app)
        asking = client.ask(account("anna"), Transfer(cents=5, to="ben"))
        assert await code_of_refusal(asking) == "insufficient_funds"

    play(history)


def test_a_refusal_reaches_a_sender_that_is_an_actor() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        process = await world.start_node(app)
        await client.ask(account("anna"), Deposit(cents=10))
        await client.ask(account("anna"), Transfer(cents=4, to="closed"))
        await asyncio.sleep(1)
        anna = state(process, "account/anna")
        assert isinstance(anna, Account)
        assert anna.cents == 10
        assert [type(event).__name__ for event in events(world)] == ["Deposited", "Withdrawn", "Refunded"]

    play(history)


def test_a_refusal_of_what_nobody_waits_for_is_in_the_commit_record_only() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        await world.start_node(app)
        await client.tell(account("anna"), Transfer(cents=5, to="ben"))
        await asyncio.sleep(1)
        assert verdicts(world) == ["refused"]
        assert world.stored(OUTBOX) == []
        assert letters(world, client) == []

    play(history)


def test_a_refusal_that_its_receiver_does_not_take_is_a_dead_letter() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        await world.start_node(app)
        record_type = behaviours().contract.of(Deposit)
        envelope = Envelope("id", "register/r", "account/closed", record_type.name, world.clock.wall_us(), "id")
        value = record_type.encode(Deposit(cents=1), envelope)
        await client.log.append([Draft(NORMAL, 0, b"account/closed", value)])
        await asyncio.sleep(1)
        (letter,) = letters(world, client)
        assert letter.reason == "undeliverable"
        assert isinstance(behaviours().contract.decode(letter.value or b"").record, MessageRefused)

    play(history)


# --- once, from outside -------------------------------------------------------------------------------------------------


def test_a_duplicate_gets_the_recorded_answer_again_after_any_restart() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        process = await world.start_node(app, name="first")
        assert await client.ask(account("anna"), Deposit(cents=10), id="order-1") == Balance(cents=10)
        assert await client.ask(account("anna"), Deposit(cents=10), id="order-2") == Balance(cents=20)
        process.kill()
        process = await world.start_node(app, name="second")
        assert await client.ask(account("anna"), Deposit(cents=10), id="order-1") == Balance(cents=10)
        assert state(process, "account/anna").cents == 20

    play(history)


def test_duplicates_in_one_slice_count_once() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        for _ in range(3):
            await client.tell(account("anna"), Deposit(cents=10), id="once")
        process = await world.start_node(app)
        await client.ask(account("anna"), Deposit(cents=1))
        assert state(process, "account/anna").cents == 11
        assert verdicts(world) == ["decided", "duplicate", "duplicate", "decided"]

    play(history)


def test_answers_in_sealed_segments_are_remembered_by_the_next_owner() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        options = ShardOptions(answers_segment=4, idle_ms=50, slice_inputs_max=1)
        process = await world.start_node(app, name="first", options=options)
        for number in range(10):
            await client.ask(account("anna"), Deposit(cents=1), id=f"own-{number}")
        await asyncio.sleep(1)
        process.kill()
        await world.start_node(app, name="second", options=options)
        for number in range(10):
            again = await client.ask(account("anna"), Deposit(cents=1), id=f"own-{number}")
            assert again == Balance(cents=number + 1)

    play(history)


def test_an_id_older_than_the_horizon_is_refused_and_never_processed() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        process = await world.start_node(app)
        old = new_id(world.clock.wall_us() - (DAY_MS + 60_000) * 1_000)
        assert await code_of_refusal(client.ask(account("anna"), Deposit(cents=10), id=old)) == "too_old"
        assert state(process, "account/anna").cents == 0

    play(history)


def test_a_callers_own_id_counts_as_new_after_the_horizon() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        options = ShardOptions(answers_horizon_ms=1_000)
        process = await world.start_node(app, options=options)
        await client.ask(account("anna"), Deposit(cents=10), id="own")
        await client.ask(account("anna"), Deposit(cents=10), id="own")
        assert state(process, "account/anna").cents == 10
        await asyncio.sleep(2)
        await client.ask(account("ben"), Deposit(cents=1))  # a commit, in which the old answer is forgotten
        await client.ask(account("anna"), Deposit(cents=10), id="own")
        assert state(process, "account/anna").cents == 20

    play(history)


def test_two_sources_may_choose_the_same_id() -> None:
    async def history(world: VirtualWorld) -> None:
        one, two = await world.connect("one"), await world.connect("two")
        process = await world.start_node(app)
        await one.ask(account("anna"), Deposit(cents=10), id="1")
        await two.ask(account("anna"), Deposit(cents=10), id="1")
        assert state(process, "account/anna").cents == 20

    play(history)


# --- bad input ----------------------------------------------------------------------------------------------------------


def test_a_decision_that_raises_is_a_dead_letter_and_the_shard_goes_on() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        process = await world.start_node(app)
        await client.tell(faulty("f"), Boom())
        await client.tell(faulty("f"), Fine())
        await asyncio.sleep(1)
        (letter,) = letters(world, client)
        assert letter.reason == "failed"
        assert "RuntimeError: poison" in letter.detail
        assert state(process, "faulty/f").fine == 1

    play(history)


def test_a_fold_that_raises_quarantines_its_actor_only_and_for_the_next_owner_too() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        process = await world.start_node(app, name="first")
        await client.tell(faulty("f"), Corrupt())
        await client.tell(faulty("f"), Fine())
        await asyncio.sleep(1)
        process.kill()
        process = await world.start_node(app, name="second")
        await client.tell(faulty("f"), Fine())
        await client.tell(faulty("other"), Fine())
        await asyncio.sleep(2)
        assert [letter.reason for letter in letters(world, client)] == ["quarantined"] * 3
        assert state(process, "faulty/other").fine == 1
        assert state(process, "faulty/f").fine == 0

    play(history)


@pytest.mark.parametrize(
    ("to", "code"), [("nobody/x", "destination_not_found"), ("register/r", "validation_error")], ids=["actor", "type"]
)
def test_what_nobody_takes_is_a_dead_letter_and_the_asker_hears_why(to: str, code: str) -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        await world.start_node(app)
        assert await code_of_refusal(client.ask(Address(to), Deposit(cents=1))) == code
        assert [letter.reason for letter in letters(world, client)] == ["undeliverable"]

    play(history)


@pytest.mark.parametrize("value", [b"", b"\0", b"not avro", b"\0\1\2\3\4rest", b"\0" * 100])
def test_malformed_input_is_a_dead_letter_whole(value: bytes) -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        await world.start_node(app)
        await client.log.append([Draft(NORMAL, 0, b"register/r", value)])
        assert await client.ask(register("r"), Append(operation="works on")) == Size(count=1)
        (letter,) = letters(world, client)
        assert (letter.reason, letter.value, letter.key) == ("malformed", value, b"register/r")

    play(history)


def test_a_stray_is_forwarded_to_its_shard_and_counts_once() -> None:
    async def history(world: VirtualWorld) -> None:
        client = await world.connect()
        process = await world.start_node(app)
        await client.ask(account("anna"), Deposit(cents=1), id="first")
        home = next(number for number in range(2) if state(process, "account/anna", number).cents)
        draft = await client._draft("account/anna", Deposit(cents=10), "stray", None, "normal", None)
        await client.log.append([draft._replace(partition=1 - home), draft._replace(partition=1 - home)])
        await asyncio.sleep(1)
        assert verdicts(world, 1 - home) == ["forwarded", "forwarded"]
        assert verdicts(world, home) == ["decided", "decided", "duplicate"]
        assert state(process, "account/anna", home).cents == 11

    play(history, partitions=2)
