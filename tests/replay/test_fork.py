"""The past goes on otherwise, in a log of its own: hms replay fork."""

import asyncio
import importlib
import json
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hms.core.client import connect
from hms.core.errors import ValidationFailed
from hms.core.log import open_log
from hms.core.runtime.installed import Behaviours
from hms.replay.fork.compare import Deviation, is_moved
from hms.replay.fork.inject import injected
from hms.replay.past.changes import Change

from ..command import HMS
from . import shop as shops
from .conftest import Hms
from .test_past import events


def forked(hms: Hms, url: str, file: Path, at: str, *arguments: str) -> dict[str, object]:
    before = shops.marks_of(url)
    code, out, err = hms(
        "replay", "fork", str(file), "--at", at, "--app", shops.APP, "--log", url, "-o", "json", *arguments
    )
    assert code == 0, err
    assert shops.marks_of(url) == before, "promise 8"
    return json.loads(out)


def at_event(hms: Hms, url: str, actor: str, number: int) -> str:
    return str(events(hms, url, actor)[number]["envelope"]["at"])


@pytest.mark.parametrize("number", [0, 5, 12])
def test_the_same_code_and_the_recorded_inputs_lead_to_the_same_states(
    hms: Hms, tmp_path: Path, shop_log: str, number: int
) -> None:
    file = tmp_path / "fork.db"
    found = forked(hms, shop_log, file, at_event(hms, shop_log, "account/anna", number))
    assert found["deviations"] == []
    assert found["inputs"] > 0


def test_a_fork_from_long_before_the_log_was_begun_does_not_live_through_the_years(
    hms: Hms, tmp_path: Path, shop_log: str
) -> None:
    found = forked(hms, shop_log, tmp_path / "fork.db", "2001-01-01")
    assert found["deviations"] == [], "the last input was decided after it came, and is in both"
    assert found["at"] > at_event(hms, shop_log, "account/anna", 0)[:10]


def test_what_reality_has_not_handled_is_no_recorded_input(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    copy, shop = tmp_path / "copy.db", importlib.import_module(shops.MODULE)
    with closing(sqlite3.connect(shop_log.removeprefix("sqlite:"))) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)

    async def tell() -> None:
        log = await open_log(f"sqlite:{copy}")
        async with connect(log, name="till") as till:
            await till.tell(shop.account("anna"), shop.Deposit(cents=1_000))
        await log.close()

    asyncio.run(tell())
    found = forked(hms, f"sqlite:{copy}", tmp_path / "fork.db", at_event(hms, shop_log, "account/anna", 9))
    assert found["deviations"] == [], "the node was killed before it came to the last message"


def test_a_fork_does_not_end_before_it_begins(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    order = ("--at", "-1s", "--until", "-2s", "--app", shops.APP, "--log", shop_log)
    code, _, err = hms("replay", "fork", str(tmp_path / "fork.db"), *order)
    assert code == 2
    assert "expected --until after --at" in err


@pytest.mark.parametrize("at", ["2100-01-01", "1969-12-31", "-99999999999w"])
def test_a_fork_begins_in_the_past(hms: Hms, tmp_path: Path, shop_log: str, at: str) -> None:
    code, _, err = hms("replay", "fork", str(tmp_path / "fork.db"), "--at", at, "--app", shops.APP, "--log", shop_log)
    assert code == 2
    assert "expected an instant of the past" in err


def test_instants_that_differ_by_less_than_a_second_are_no_deviation() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    later = [at + timedelta(milliseconds=ms) for ms in (999, 1_000)]
    assert [is_moved(Deviation("a/b", Change("since", at, one))) for one in (*later, None, 1)] == [
        True,
        False,
        False,
        False,
    ]


def test_a_fork_is_a_log_that_every_command_reads_and_that_verifies(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    file = tmp_path / "fork.db"
    forked(hms, shop_log, file, at_event(hms, shop_log, "account/anna", 7))
    url = f"sqlite:{file}"
    assert hms("replay", "verify", "--app", shops.APP, "--log", url)[0] == 0
    assert hms("log", "verify", "--log", url)[0] == 0
    _, out, _ = hms("replay", "state", "account/anna", "--app", shops.APP, "--log", url, "-o", "json")
    assert json.loads(out)["state"]["cents"] == 700


def test_up_to_the_cut_a_fork_holds_what_the_log_holds_at_the_same_places(
    hms: Hms, tmp_path: Path, shop_log: str
) -> None:
    file, at = tmp_path / "fork.db", at_event(hms, shop_log, "account/anna", 9)
    forked(hms, shop_log, file, at, "--inputs", "none")
    mine = [one for one in events(hms, f"sqlite:{file}", "account/anna") if one["envelope"]["at"] <= at]
    theirs = [one for one in events(hms, shop_log, "account/anna") if one["envelope"]["at"] <= at]
    assert mine == theirs


def test_without_inputs_nothing_more_comes_from_outside(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    file = tmp_path / "fork.db"
    found = forked(hms, shop_log, file, at_event(hms, shop_log, "account/anna", 4), "--inputs", "none")
    assert found["inputs"] == 0
    _, out, _ = hms("replay", "state", "account/anna", "--app", shops.APP, "--log", f"sqlite:{file}", "-o", "json")
    assert json.loads(out)["state"]["cents"] == 500


def test_injected_messages_are_decided_and_differ_from_reality(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    message = {"to": "account/dora", "type": f"{shops.MODULE}.Deposit", "data": {"cents": 5}, "after_ms": 1}
    more = {"to": "account/anna", "type": f"{shops.MODULE}.Transfer", "data": {"cents": 7, "to": "dora"}, "after_ms": 2}
    file = tmp_path / "what-if.jsonl"
    file.write_text(f"{json.dumps(message)}\n{json.dumps(more)}\n")
    at = at_event(hms, shop_log, "account/anna", 4)
    found = forked(hms, shop_log, tmp_path / "fork.db", at, "--inputs", str(file), "--until", "now")
    assert found["injected"] == 2
    values = {(one["actor"], one["field"]): one.get("fork") for one in found["deviations"]}
    assert values["account/anna", "cents"] == 493
    assert values["account/dora", ""]["cents"] == 12


def test_other_code_goes_another_way(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    folder = shops.write_module(
        tmp_path / "code", ("accept(Deposited(cents=message.cents)", "accept(Deposited(cents=message.cents + 1)")
    )
    at = at_event(hms, shop_log, "account/anna", 4)
    command = [*HMS, "replay", "fork", "fork.db", "--at", at, "--code", str(folder), "--app", shops.APP]
    done = subprocess.run(
        [*command, "--log", shop_log, "-o", "json"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    values = {(one["actor"], one["field"]): (one["reality"], one["fork"]) for one in found["deviations"]}
    assert values["account/anna", "cents"] == (700, 705), "five of the ten deposits came after the cut"


def test_time_is_virtual_half_an_hour_takes_a_second(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    at = at_event(hms, shop_log, "account/anna", 11)  # a transfer, whose reminder is due two seconds later
    file = tmp_path / "fork.db"
    later = (datetime.fromisoformat(at) + timedelta(minutes=30)).isoformat()
    forked(hms, shop_log, file, at, "--inputs", "none", "--until", later)
    reminded = [one for one in events(hms, f"sqlite:{file}", "account/anna") if "Reminded" in one["envelope"]["type"]]
    assert len(reminded) == 1


def test_a_file_that_is_there_is_never_written_over(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    file = tmp_path / "fork.db"
    file.write_text("mine")
    code, _, err = hms("replay", "fork", str(file), "--at", "-1s", "--app", shops.APP, "--log", shop_log)
    assert (code, file.read_text()) == (2, "mine")
    assert "is there already" in err


DEPOSIT = {"to": "account/anna", "type": f"{shops.MODULE}.Deposit", "data": {"cents": 1}}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({**DEPOSIT, "type": "no.Such"}, "there is no 'no.Such'"),
        ({**DEPOSIT, "type": f"{shops.MODULE}.Deposited"}, "is no message"),
        ({**DEPOSIT, "data": {"cents": "one"}}, "cents: Input should be a valid integer"),
        ({**DEPOSIT, "to": "client/anna"}, "no app here has an actor client/anna"),
        ({**DEPOSIT, "to": 5}, "to: Input should be a valid string"),
        ({**DEPOSIT, "after": 5}, "after: Extra inputs are not permitted"),
        ({**DEPOSIT, "after_ms": -1}, "after_ms: Input should be greater than or equal to 0"),
        ({**DEPOSIT, "at": "2001-01-01T00:00:00Z"}, "it comes before the cut"),
        ({**DEPOSIT, "priority": "urgent"}, "there is no 'urgent'"),
        ([DEPOSIT], "Input should be an object"),
    ],
)
def test_a_line_that_is_no_message_of_the_apps_is_refused_with_what_is_wrong(
    tmp_path: Path, shop_folder: Path, line: object, words: str
) -> None:
    file = tmp_path / "wrong.jsonl"
    file.write_text(f"\n{json.dumps(line)}\n")
    with pytest.raises(ValidationFailed, match=rf"wrong\.jsonl:2.*{words}"):
        injected(file, Behaviours([shops.shop()]), 1_700_000_000_000_000, shops.PARTITIONS)
    assert shop_folder.is_dir()


def test_a_file_of_other_bytes_is_no_file_of_messages(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    file = tmp_path / "wrong.jsonl"
    file.write_bytes(b"\xff\xfe")
    code, _, err = hms(
        *("replay", "fork", str(tmp_path / "fork.db"), "--at", "-1s", "--inputs", str(file)),
        *("--app", shops.APP, "--log", shop_log),
    )
    assert code == 1
    assert "wrong.jsonl:1" in err
