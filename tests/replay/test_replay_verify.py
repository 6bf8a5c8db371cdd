"""Everything decided again: hms replay verify."""

import asyncio
import json
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from hms import App, Behaviour, Context, Decision, Event, Message, State, accept
from hms.core.client import connect
from hms.core.log.port import CHECKPOINTS, EVENTS, LANES, NORMAL
from hms.core.log.sqlite import SqliteLog
from hms.core.log.sqlite.layout import Layout
from hms.core.runtime.divergence import Divergence
from hms.core.runtime.installed import Behaviours
from hms.core.runtime.node import Node
from hms.core.runtime.shard_options import ShardOptions
from hms.replay.archive.errors import HistoryGap
from hms.replay.history import History
from hms.replay.schemas import learn_schemas
from hms.replay.verify.run import Subject, Verification, verify
from hms.replay.verify.sent import Settled
from hms.replay.verify.shard import ShardVerification, verify_shard
from hms.schemas import partition_of

from ..command import HMS
from . import shop as shops
from .archived import counters, filled, run_archive
from .conftest import Hms

NAMES = ("hms.actors.app:hms_app", shops.APP)


def verified(url: str, **how: int) -> Verification:
    return asyncio.run(verify(Subject(url, None, NAMES), processes=how.get("processes", 1)))


def by_changed(folder: Path, url: str, *changes: tuple[str, str]) -> tuple[int, list[dict[str, str]]]:
    """Verify by changed code, in a process of its own."""
    shops.write_module(folder, *changes)
    done = subprocess.run(
        [*HMS, "replay", "verify", "--app", shops.APP, "--log", url, "-o", "json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_the_code_that_recorded_it_comes_to_the_same_bytes(hms: Hms, shop_log: str) -> None:
    code, out, err = hms("replay", "verify", "--app", shops.APP, "--log", shop_log, "-o", "json")
    assert (code, json.loads(out)) == (0, []), err
    assert "all came out as recorded" in err
    found = verified(shop_log)
    assert sum(one.inputs for one in found.shards) > 20
    assert sum(one.sends_unchecked for one in found.shards) + found.settled.unchecked == 0


def test_a_log_that_holds_an_app_whose_code_is_not_named_is_not_verified(hms: Hms, shop_log: str) -> None:
    code, _, err = hms("replay", "verify", "--log", shop_log)
    assert code == 1
    assert "--app" in err


def test_a_changed_decide_exits_9_and_the_first_divergence_of_each_actor_is_named(
    tmp_path: Path, shop_log: str
) -> None:
    code, found = by_changed(
        tmp_path, shop_log, ("accept(Deposited(cents=message.cents)", "accept(Deposited(cents=message.cents + 1)")
    )
    assert code == 9
    assert [(one["actor"], one["field"], one["expected"], one["got"]) for one in found] == [
        ("account/anna", "events[0].cents", "100", "101"),
        ("account/ben", "events[0].cents", "60", "61"),
    ]
    assert all(one["same_code"] and one["sequence"] >= 0 and one["offset"] >= 0 for one in found)


def test_lock_step_one_divergence_does_not_drag_the_next_along(tmp_path: Path, shop_log: str) -> None:
    shops.write_module(tmp_path, ("cents=message.cents), reply", "cents=message.cents + (state.cents == 500)), reply"))
    done = subprocess.run(
        [*HMS, "replay", "verify", "--app", shops.APP, "--log", shop_log],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 9
    assert "1 came out otherwise" in done.stderr, "only the deposit that met 500: later ones met what was recorded"


def test_other_code_by_its_own_version_exits_1(tmp_path: Path, shop_log: str) -> None:
    code, found = by_changed(
        tmp_path,
        shop_log,
        ("accept(Deposited(cents=message.cents)", "accept(Deposited(cents=message.cents + 1)"),
        ("effects=[on", "version=2, effects=[on"),
    )
    assert code == 1
    assert not any(one["same_code"] for one in found)


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ("send=[credit], ", "", "events"),
        ("Deposit(cents=message.cents))\n", "Deposit(cents=message.cents + 1))\n", "sends.cents"),
        ("reply=Balance(cents=state.cents + message.cents)", "reply=Balance(cents=0)", "answer"),
        ('refuse("insufficient_funds"', 'refuse("no"', "answer"),
        ('timer("remind", 2000', 'timer("remind", 2001', "events[1].due_us"),
        ("return accept(Reminded())", 'return refuse("no", "no")', "verdict"),
        ("effects=[on(Withdrawn, tell)]", "effects=[]", "effects"),
        ('raise ValueError("boom")', "return accept(Reminded())", "verdict"),
    ],
)
def test_whatever_differs_is_found(tmp_path: Path, shop_log: str, before: str, after: str, field: str) -> None:
    code, found = by_changed(tmp_path, shop_log, (before, after))
    assert code == 9
    fields = {one["field"] for one in found}
    if field == "events":
        assert any(name.startswith("sends") for name in fields), fields
    else:
        assert field in fields, fields


def test_an_evolve_that_cannot_take_the_recorded_events_is_named(tmp_path: Path, shop_log: str) -> None:
    code, found = by_changed(
        tmp_path,
        shop_log,
        (
            "        case Reminded():\n            return Account",
            "        case Reminded() if state.cents < 0:\n            return Account",
        ),
        ("effects=[on", "version=2, effects=[on"),
    )
    assert code == 1
    assert {one["actor"] for one in found} == {"account/anna"}


def test_two_processes_find_what_one_does(monkeypatch: pytest.MonkeyPatch, shop_log: str) -> None:
    monkeypatch.setattr("hms.replay.verify.run.SMALL_EVENTS", 0)
    together, alone = verified(shop_log, processes=2), verified(shop_log)
    assert [(one.shard, one.commits, one.inputs) for one in together.shards] == [
        (one.shard, one.commits, one.inputs) for one in alone.shards
    ]
    assert not together.divergence_count


def test_commits_before_an_instant_are_taken_as_recorded(shop_log: str) -> None:
    found = asyncio.run(verify(Subject(shop_log, None, NAMES, since_us=1 << 60), processes=1))
    assert sum(one.inputs for one in found.shards) == 0
    assert sum(one.commits_skipped for one in found.shards) > 20


def test_a_message_that_was_changed_in_its_lane_is_found(tmp_path: Path, shop_log: str) -> None:
    path = tmp_path / "changed.db"
    shutil.copyfile(shop_log.removeprefix("sqlite:"), path)
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT position, value FROM records WHERE instr(value, ?)", (b"order-0",)).fetchall()
        lane = Layout(shops.PARTITIONS).places[NORMAL, partition_of("account/anna", shops.PARTITIONS)].base
        position, value = next(row for row in rows if lane <= row[0] < lane + (1 << 30))
        connection.execute("UPDATE records SET value = ? WHERE position = ?", (value.replace(b"ben", b"bob"), position))
    connection.close()
    found = verified(f"sqlite:{path}").first()
    assert {"digest_read", "events[0].to"} & {one.field for one in found}


def test_what_can_no_longer_be_told_is_counted_and_is_no_divergence(tmp_path: Path, shop_log: str) -> None:
    path = tmp_path / "gone.db"
    shutil.copyfile(shop_log.removeprefix("sqlite:"), path)
    places = Layout(shops.PARTITIONS).places
    with sqlite3.connect(path) as connection:
        for shard in range(shops.PARTITIONS):
            base = places[CHECKPOINTS, shard].base
            connection.execute("DELETE FROM records WHERE position >= ? AND position < ?", (base, base + (1 << 30)))
    connection.close()
    found = verified(f"sqlite:{path}")
    assert found.divergence_count == 0
    assert sum(one.sends_unchecked for one in found.shards) > 0


# --- schemas that have grown -----------------------------------------------------------------------------------------


class Count(State):
    total: int = 0


def counting(*, wider: bool) -> App:
    """Return an app whose event has one field more in the later release."""

    class Add(Message):
        explicit_type = "grown.Add"
        amount: int

    if wider:

        class Added(Event):
            explicit_type = "grown.Added"
            amount: int
            note: str = ""

    else:

        class Added(Event):  # type: ignore[no-redef]
            explicit_type = "grown.Added"
            amount: int

    def decide(_state: Count, message: Add, _context: Context) -> Decision[Added]:
        return accept(Added(amount=message.amount))

    def evolve(state: Count, event: Added) -> Count:
        return Count(total=state.total + event.amount)

    decide.__annotations__.update(message=Add)
    evolve.__annotations__.update(event=Added)
    return App("grown", Behaviour("grown", initial=Count, decide=decide, evolve=evolve))


def test_an_event_that_has_grown_a_field_is_compared_in_the_schema_that_it_was_recorded_with(tmp_path: Path) -> None:
    async def main() -> None:
        log = await SqliteLog.open(tmp_path / "grown.db", partitions=1)
        old = counting(wider=False)
        add = old.behaviours["grown"].messages[0]
        async with Node(log, [old], name="n") as node, connect(log, name="c") as client:
            for amount in range(1, 6):
                await client.tell(old.behaviours["grown"]("a"), add(amount=amount))
            while sum(shard.input_count for shard in node.statistics().shards) < 5:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        history = History(log)
        new = Behaviours([counting(wider=True)])
        await learn_schemas(history, new.contract)
        found = await verify_shard(history, new, 0, ShardOptions())
        assert (found.inputs, found.divergence_count, found.doubts) == (5, 0, [])
        await log.close()

    asyncio.run(main())


def test_a_decide_that_is_not_the_same_each_time_is_named(tmp_path: Path, shop_log: str) -> None:
    once = "        case Deposit() if not seen and not seen.append(1):\n            raise ValueError\n        case Deposit():\n"
    code, found = by_changed(
        tmp_path, shop_log, ("class Balance", "seen = []\nclass Balance"), ("        case Deposit():\n", once)
    )
    assert code == 9
    assert "decide" in {one["field"] for one in found}


def test_what_the_log_has_deleted_is_decided_again_from_the_archive_and_is_a_named_gap_without_it(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 60)
        archive = await run_archive(tmp_path / "archive", log)
        for topic in (EVENTS, *LANES):
            for shard in range(log.partitions):
                await log.trim(topic, shard, (await log.watermarks(topic, shard)).stable)
        behaviours = Behaviours([counters])
        history = History(log, archive)
        await learn_schemas(history, behaviours.contract)
        found = [await verify_shard(history, behaviours, shard, ShardOptions()) for shard in range(log.partitions)]
        assert sum(one.inputs for one in found) == 60
        assert [one.divergences for one in found] == [{}] * len(found)
        with pytest.raises(HistoryGap, match=r"hms\.events/0"):
            await verify_shard(History(log), behaviours, 0, ShardOptions())
        await log.close()

    asyncio.run(main())


def test_the_archive_of_another_log_is_refused_and_not_read_as_this_ones(
    hms: Hms, tmp_path: Path, shop_log: str
) -> None:
    async def archived() -> None:
        log = await filled(tmp_path / "other.db", 3)
        await run_archive(tmp_path / "archive", log)
        await log.close()

    asyncio.run(archived())
    archive = ("--archive", str(tmp_path / "archive"))
    code, _, err = hms("replay", "verify", "--app", shops.APP, "--log", shop_log, *archive)
    assert code == 1
    assert "has no archive; name its own, or none" in err
    assert hms("incident", "list", "--log", f"sqlite:{tmp_path / 'other.db'}", *archive)[0] == 0


def test_a_later_divergence_of_the_installed_code_breaks_the_promise_whatever_older_code_did_first() -> None:
    def divergence(sequence: int, code_version: str) -> Divergence:
        return Divergence(0, sequence, 0, 0, code_version, "account/anna", 0, 0, "", "", "events", "1", "2")

    shard = ShardVerification(0)
    for one in (divergence(1, "old"), divergence(2, "new")):
        shard.add(one)
    found = Verification("new", [shard], Settled([], 0, 0))
    assert [one.code_version for one in found.first()] == ["old"]
    assert found.breaks_promise
    assert not Verification("newer", [shard], Settled([], 0, 0)).breaks_promise


def test_where_nothing_was_to_be_decided_nothing_is_said_to_have_come_out(hms: Hms, shop_log: str) -> None:
    order = ("--app", shops.APP, "--log", shop_log, "--since", "2100-01-01")
    assert "there was nothing to decide" in hms("replay", "verify", *order)[2]
