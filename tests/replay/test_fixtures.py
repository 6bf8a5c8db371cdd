"""One history as a file: hms replay export and check."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from hms.actors.app import hms_app
from hms.core.errors import ValidationFailed
from hms.core.log.port import EVENTS, Log
from hms.replay.fixtures import check
from hms.replay.fixtures.export import export
from hms.replay.history import History

from ..command import HMS
from . import shop as shops
from .archived import count, counters, filled
from .conftest import Hms


@pytest.fixture
def anna(hms: Hms, tmp_path: Path, shop_log: str) -> Path:
    path = tmp_path / "anna.jsonl"
    before = shops.marks_of(shop_log)
    code, _, err = hms("replay", "export", "account/anna", str(path), "--log", shop_log)
    assert code == 0, err
    assert shops.marks_of(shop_log) == before, "promise 8"
    return path


def checked(folder: Path, fixture: Path, *changes: tuple[str, str]) -> tuple[int, list[dict[str, str]]]:
    shops.write_module(folder, *changes)
    command = [*HMS, "replay", "check", str(fixture), "--app", shops.APP, "-o", "json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_history_holds_for_the_code_that_made_it(anna: Path, shop_log: str) -> None:
    found = check(anna, [hms_app, shops.shop()])
    assert (found.actor, found.divergences) == ("account/anna", [])
    assert found.inputs >= 16, shop_log


def test_a_fixture_holds_the_actors_own_records_alone(anna: Path) -> None:
    lines = [json.loads(line) for line in anna.read_text().splitlines()]
    assert lines[0]["actor"] == "account/anna"
    assert lines[0]["sends_known"]
    assert 0 < len(lines[0]["schemas"]) < 30, "those of its own records"
    assert len({event["key"] for line in lines[1:] for event in line["events"]}) == 1


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ("accept(Deposited(cents=message.cents)", "accept(Deposited(cents=message.cents + 1)", "events[0].cents"),
        ("Deposit(cents=message.cents))\n", "Deposit(cents=message.cents + 1))\n", "sends.cents"),
        ("send=[credit], ", "", "sends"),
    ],
)
def test_code_that_decides_otherwise_does_not_hold(
    tmp_path: Path, anna: Path, before: str, after: str, field: str
) -> None:
    code, found = checked(tmp_path / "code", anna, (before, after))
    assert code == 9
    assert field in {one["field"] for one in found}


def test_nothing_is_written_for_an_actor_that_was_never_told_anything(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    path = tmp_path / "nobody.jsonl"
    code, _, err = hms("replay", "export", "account/nobody", str(path), "--log", shop_log)
    assert (code, list(tmp_path.iterdir())) == (3, [])
    assert "has never been sent anything" in err


@pytest.mark.parametrize("text", ["", "{}", "not JSON\n", "\xff\xfe", '{"kind": "hms.fixture", "format": 99}\n'])
def test_what_is_no_fixture_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.jsonl"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValidationFailed, match=r"other\.jsonl"):
        check(path, [hms_app])


class Busy(History):
    """A history of a log that goes on while it is read: when its events are first looked at, there are more of them."""

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self._log = log
        self._more = True

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the bounds, after a node has decided some more."""
        if topic == EVENTS and self._more:
            self._more = False
            await count(self._log, 10, actors=1)
        return await super().bounds(topic, partition)


def test_a_history_taken_while_the_log_goes_on_holds(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 10)
        assert await export(Busy(log), "counter/0", tmp_path / "counter.jsonl") == 12
        await log.close()

    asyncio.run(main())
    assert check(tmp_path / "counter.jsonl", [counters]).divergences == []


@pytest.mark.parametrize("kept", [1, -1])
def test_a_fixture_that_lost_its_end_is_no_shorter_history(anna: Path, kept: int) -> None:
    anna.write_text("\n".join(anna.read_text().splitlines()[:kept]))
    with pytest.raises(ValidationFailed, match="is not whole"):
        check(anna, [hms_app, shops.shop()])


@pytest.mark.parametrize("line", ["{}", "[]", "null", '{"offset": 1, "fields": {"answer": "=", "inputs": []}}'])
def test_a_line_that_is_no_commit_is_named(anna: Path, line: str) -> None:
    first, *rest = anna.read_text().splitlines()
    anna.write_text("\n".join([first, line, *rest]))
    with pytest.raises(ValidationFailed, match=r"anna\.jsonl:2: expected a commit"):
        check(anna, [hms_app, shops.shop()])


def test_a_fixture_of_an_app_that_is_not_named_is_not_decided(anna: Path) -> None:
    with pytest.raises(ValidationFailed, match=r"is of account/anna: .* name it by --app"):
        check(anna, [hms_app])
