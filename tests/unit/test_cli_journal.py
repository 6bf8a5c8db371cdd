"""The log as the command line reads it: without the writers' code, across gaps, whole or broken; dead letters again."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hms.console.cli.dead_letter_retry import Letter, attempts_of, original_of, send_again
from hms.console.cli.freshness import freshness
from hms.console.cli.journal import Entry, Journal
from hms.console.cli.log_verify import verify_log
from hms.console.cli.shard_item import last_commit
from hms.core.address import Address
from hms.core.app import App
from hms.core.behaviour import Behaviour, Context
from hms.core.client import Client, connect
from hms.core.decision import Decision, accept
from hms.core.errors import Refused, ValidationFailed
from hms.core.log.open import open_log
from hms.core.log.port import DEAD_LETTERS, EVENTS, NORMAL, Draft, Log, Stored
from hms.core.runtime.node import Node
from hms.schemas import Event, Message, State, partition_of


class Total(Message):
    cents: int


class Deposit(Message[Total]):
    cents: int


class Deposited(Event):
    cents: int
    note: bytes = b"\x01"


class Account(State):
    cents: int = 0


def decide(state: Account, message: Deposit, context: Context) -> Decision[Deposited]:  # noqa: ARG001
    if message.cents < 0:
        raise RuntimeError("a bug in the bank")
    return accept(Deposited(cents=message.cents), reply=Total(cents=state.cents + message.cents))


def evolve(state: Account, event: Deposited) -> Account:
    return Account(cents=state.cents + event.cents)


bank = App("journal_bank", Behaviour("account", initial=Account, decide=decide, evolve=evolve))
ANNA: Address[Any] = Address("account/anna")
SHARD = partition_of("account/anna", 16)


@asynccontextmanager
async def running() -> AsyncIterator[Client]:
    log = await open_log("simulated:")
    async with Node(log, [bank], name="n1") as node, connect(log) as client:
        await node.wait_owning(log.partitions)  # each opening is a commit
        yield client
    await log.close()


def simulate(story: Callable[[Client], Awaitable[None]]) -> None:
    async def main() -> None:
        async with running() as client:
            await story(client)

    asyncio.run(main())


async def entries(log: Log, *topics: str, since_us: int | None = None) -> list[Entry]:
    journal = Journal(log)
    starts = await journal.starts(topics, since_us=since_us)
    return [entry async for entry in journal.until(starts, await journal.ends(topics))]


def test_events_are_read_without_the_code_that_wrote_them_in_the_order_of_the_log() -> None:
    async def story(client: Client) -> None:
        for number in range(20):
            await client.ask(Address[Any](f"account/{number}"), Deposit(cents=number))
        found = [
            entry for entry in await entries(client.log, EVENTS) if entry.item()["envelope"]["type"] != "hms.Commit"
        ]
        assert [entry.order for entry in found] == sorted(entry.order for entry in found)
        assert sorted(entry.item()["data"]["cents"] for entry in found) == list(range(20))
        item = found[0].item()
        assert item["envelope"]["type"] == "journal_bank.Deposited"
        assert item["data"]["note"] == "AQ=="
        assert {"topic", "partition", "offset", "appended_at", "envelope", "data"} == item.keys()

    simulate(story)


def test_since_begins_with_the_first_record_appended_then() -> None:
    async def story(client: Client) -> None:
        for cents in (1, 2, 3):
            await client.ask(ANNA, Deposit(cents=cents))
        deposits = [entry for entry in await entries(client.log, EVENTS) if "cents" in entry.data]
        later = await entries(client.log, EVENTS, since_us=deposits[1].stored.at_us)
        assert [entry.data["cents"] for entry in later if "cents" in entry.data] == [2, 3]

    simulate(story)


def test_what_is_no_record_is_shown_with_what_is_wrong_and_its_bytes() -> None:
    async def story(client: Client) -> None:
        await client.log.append([Draft(NORMAL, SHARD, b"account/anna", b"junk")])
        (entry,) = [one for one in await entries(client.log, NORMAL) if one.envelope is None]
        assert entry.item()["envelope"] is None
        assert entry.item()["data"]["value"] == "anVuaw=="
        assert "00" in entry.item()["data"]["malformed"]

    simulate(story)


def test_the_newest_commit_is_found_behind_the_markers_and_its_owner_is_named() -> None:
    async def story(client: Client) -> None:
        await client.ask(ANNA, Deposit(cents=1))
        now = await freshness(client.log)
        newest = max((await entries(client.log, EVENTS)), key=lambda entry: entry.stored.at_us)
        assert now.last_commit_us == newest.stored.at_us
        assert [node.node for node in now.nodes] == ["n1"]
        fields = await last_commit(client.log, SHARD)
        assert fields is not None
        assert fields["sequence"] >= 1

    simulate(story)


def test_an_empty_log_has_no_commit_and_no_owner() -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        now = await freshness(log)
        assert (now.last_commit_us, now.owned) == (0, False)
        assert await last_commit(log, 0) is None
        report = (await verify_log(log))[0]
        assert (report.commits, report.finding) == (0, None)

    asyncio.run(main())


def test_a_whole_shard_is_whole_and_says_what_was_checked() -> None:
    async def story(client: Client) -> None:
        for cents in (1, 2, 3):
            await client.ask(ANNA, Deposit(cents=cents))
        report = (await verify_log(client.log))[SHARD]
        assert report.finding is None
        assert report.first_sequence == 0
        assert report.last_sequence == report.commits - 1
        assert report.reads_checked == report.writes_checked == report.commits

    simulate(story)


def test_commits_with_refusals_dead_letters_and_duplicates_are_checked_whole() -> None:
    async def story(client: Client) -> None:
        await asyncio.gather(*(client.ask(ANNA, Deposit(cents=cents)) for cents in range(5)))
        for _ in range(2):
            await client.ask(ANNA, Deposit(cents=7), id="mine")
        await buried(client, Deposit(cents=-1))
        with pytest.raises(Refused):
            await client.ask(Address[Any]("nobody/x"), Deposit(cents=1))
        stray = next(one.stored for one in await entries(client.log, NORMAL) if one.stored.partition == SHARD)
        await client.log.append([stray_draft(stray)])
        await client.ask(ANNA, Deposit(cents=8))
        reports = await verify_log(client.log)
        assert [report.finding for report in reports] == [None] * 16
        assert all(report.writes_checked == report.commits for report in reports)

    simulate(story)


def stray_draft(stored: Stored) -> Draft:
    """The same message in another partition: as a producer that hashes otherwise would place it."""
    return Draft(stored.topic, (SHARD + 1) % 16, stored.key, stored.value, stored.headers)


def test_an_event_that_no_commit_speaks_of_breaks_the_shard_at_its_place() -> None:
    async def story(client: Client) -> None:
        await client.tell(ANNA, Deposit(cents=1))
        await client.ask(ANNA, Deposit(cents=2))
        deposited = next(entry for entry in await entries(client.log, EVENTS) if "cents" in entry.data)
        (offset,) = await client.log.append([Draft(EVENTS, SHARD, b"account/anna", deposited.stored.value)])
        report = (await verify_log(client.log))[SHARD]
        assert report.finding is not None
        assert (report.finding.partition, report.finding.offset) == (SHARD, offset)
        assert report.finding.expected == "a commit record"

    simulate(story)


def test_a_repeated_commit_record_breaks_the_chain() -> None:
    async def story(client: Client) -> None:
        await client.ask(ANNA, Deposit(cents=1))
        found = [entry for entry in await entries(client.log, EVENTS) if entry.stored.partition == SHARD]
        first = found[0]
        assert first.stored.key == b"shard/%d" % SHARD
        await client.log.append([Draft(EVENTS, SHARD, first.stored.key, first.stored.value)])
        report = (await verify_log(client.log))[SHARD]
        assert report.finding is not None
        assert report.finding.what == "the chain is broken"
        assert report.finding.got.startswith("commit 0 after 0000000000000000")
        assert report.finding.expected.startswith(f"commit {report.commits} after ")

    simulate(story)


async def buried(client: Client, message: Message[Any]) -> Letter:
    with pytest.raises(Refused, match="a bug in the bank"):
        await client.ask(ANNA, message)
    found = await entries(client.log, DEAD_LETTERS)
    return next(Letter(entry.envelope, entry.data) for entry in found if entry.envelope is not None)


async def once_more(log: Log, letter: Letter) -> dict[str, Any]:
    stored = await original_of(log, letter)
    return await send_again(log, letter, None if stored is None else await Journal(log).decoded(stored))


def test_a_dead_letter_is_sent_again_under_an_id_of_its_own_and_each_attempt_counts() -> None:
    async def story(client: Client) -> None:
        letter = await buried(client, Deposit(cents=-1))
        sent = [await once_more(client.log, letter) for _ in range(2)]
        assert [one["attempt"] for one in sent] == [1, 2]
        assert await attempts_of(client.log, letter.id) == 2
        again = [
            entry
            for entry in await entries(client.log, NORMAL)
            if entry.envelope and entry.envelope.causation_id == letter.id
        ]
        assert [entry.item()["envelope"]["id"] for entry in again] == [one["message_id"] for one in sent]
        assert len({letter.envelope.id, *(one["message_id"] for one in sent)}) == 3
        assert [entry.data["cents"] for entry in again] == [-1, -1]
        assert {entry.stored.partition for entry in again} == {SHARD}

    simulate(story)


def test_two_who_retry_at_once_send_two_attempts_not_one_twice() -> None:
    async def story(client: Client) -> None:
        letter = await buried(client, Deposit(cents=-1))
        sent = await asyncio.gather(once_more(client.log, letter), once_more(client.log, letter))
        assert sorted(one["attempt"] for one in sent) == [1, 2]
        assert len({one["message_id"] for one in sent}) == 2

    simulate(story)


def test_a_letter_too_large_to_hold_its_message_sends_what_the_lane_still_has() -> None:
    async def story(client: Client) -> None:
        letter = await buried(client, Deposit(cents=-1))
        whole = letter.data["value"]
        stripped = {**letter.data, "value": None, "headers": [], "value_sha256": hashlib.sha256(whole).digest()}
        assert (await once_more(client.log, letter._replace(data=stripped)))["attempt"] == 1
        forged = {**stripped, "value_sha256": b"\0" * 32}
        with pytest.raises(ValidationFailed, match="only its hash is left"):
            await once_more(client.log, letter._replace(data=forged))

    simulate(story)


def test_bytes_that_are_no_message_are_not_sent_again() -> None:
    async def story(client: Client) -> None:
        letter = await buried(client, Deposit(cents=-1))
        junk = letter._replace(data={**letter.data, "value": b"junk"})
        with pytest.raises(ValidationFailed, match="its sender must send it anew"):
            await once_more(client.log, junk)
        assert await attempts_of(client.log, letter.id) == 0

    simulate(story)
