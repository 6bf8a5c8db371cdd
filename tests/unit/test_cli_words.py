"""The command line's words: instants, values as JSON, exit codes, which log, which records, what a table looks like."""

import errno
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import structlog

from hms.actors.fleet import FleetFileInvalid, Mistake
from hms.console.cli import COMMANDS, main
from hms.console.cli.doctor import verdict
from hms.console.cli.doctor.check import Check
from hms.console.cli.event_filter import EventFilter
from hms.console.cli.exit_codes import Exit, Stop, explained
from hms.console.cli.freshness import Freshness
from hms.console.cli.instants import instant_us
from hms.console.cli.journal import Entry, topics_named
from hms.console.cli.log_address import log_file, log_url
from hms.console.cli.opened import quiet
from hms.console.cli.plain_value import instant, plain
from hms.console.cli.show import show_line, show_list, show_one, text
from hms.core.errors import (
    AskTimedOut,
    DestinationNotFound,
    HistoryBroken,
    LogUnreachable,
    PositionTrimmed,
    Refused,
    ValidationFailed,
)
from hms.core.log.port import LANES, NodeInfo, Stored
from hms.schemas import Envelope, UnknownSchema
from hms.schemas.component import Desired
from hms.schemas.component import Exit as ComponentExit

NOW_US = 1_800_000_000_000_000
SECOND_US = 1_000_000


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("now", NOW_US),
        ("-15m", NOW_US - 900 * SECOND_US),
        ("-1.5h", NOW_US - 5_400 * SECOND_US),
        ("-200ms", NOW_US - 200_000),
        ("-1w", NOW_US - 7 * 86_400 * SECOND_US),
        ("1970-01-01T00:00:01Z", SECOND_US),
        ("1970-01-01T00:00:01", SECOND_US),
        ("1970-01-01T01:00:01+01:00", SECOND_US),
        ("1970-01-02", 86_400 * SECOND_US),
    ],
)
def test_an_instant_is_iso_8601_or_a_duration_ago_and_without_a_zone_it_is_utc(given: str, expected: int) -> None:
    assert instant_us(given, NOW_US) == expected


@pytest.mark.parametrize("given", ["yesterday", "15m", "-15", "-15 m", "", "2026-13-01"])
def test_what_is_no_instant_is_a_usage_error_that_shows_what_one_looks_like(given: str) -> None:
    with pytest.raises(Stop, match=r"2026-03-01T03:12:00Z, or -15m .* got '" + given) as stop:
        instant_us(given, NOW_US)
    assert stop.value.code == Exit.USAGE


def test_json_has_instants_in_utc_with_a_z_and_bytes_in_base64() -> None:
    at = datetime(2026, 3, 1, 4, 12, tzinfo=timezone(timedelta(hours=1)))
    assert plain({"at": at, "bytes": b"\x00\xff", "none": None}) == {
        "at": "2026-03-01T03:12:00.000000Z",
        "bytes": "AP8=",
        "none": None,
    }


def test_records_are_objects_and_one_in_a_union_says_which_it_is() -> None:
    assert plain(Desired(state="down")) == {"state": "down", "by": "file", "who": "", "why": ""}
    assert plain(("hms.Exit", {"code": 3})) == {"@type": "hms.Exit", "code": 3}
    assert plain([("hms.Exit", {"lines": [b"a"]})]) == [{"@type": "hms.Exit", "lines": ["YQ=="]}]
    end = ComponentExit(incarnation=2, at=datetime(2026, 3, 1, tzinfo=UTC), last_lines=("a", "b"))
    assert plain(end)["last_lines"] == ["a", "b"]
    assert plain(end)["at"] == instant(end.at)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Stop(Exit.TASK_FAILED, "x"), 8),
        (Refused("not_found", "x"), 3),
        (Refused("task_not_found", "x"), 3),
        (Refused("given_up", "x"), 1),
        (DestinationNotFound("x"), 3),
        (LogUnreachable("x"), 5),
        (PositionTrimmed("hms.events", 0, 1, 2), 5),
        (AskTimedOut("x"), 6),
        (ValidationFailed("x"), 1),
        (HistoryBroken("x"), 1),
        (UnknownSchema(7), 1),
        (FleetFileInvalid([Mistake("fleet.yaml", 1, 1, "", "a fleet", "nothing", "write one")]), 2),
        (PermissionError(13, "Permission denied"), 1),
    ],
)
def test_every_error_has_its_exit_code(error: Exception, code: int) -> None:
    assert explained(error)[0] == code


def test_what_the_operating_system_refuses_is_told_with_its_place_and_what_to_do() -> None:
    code, message = explained(OSError(errno.EROFS, "Read-only file system", "/state/hms"))
    assert code == Exit.FAILED
    assert message.startswith("/state/hms: Read-only file system; let user ")
    assert "XDG_STATE_HOME" in message


def test_a_bug_is_told_in_one_line_and_says_how_to_see_more() -> None:
    code, message = explained(KeyError("pid"))
    assert code == Exit.FAILED
    assert message == "a bug: KeyError: 'pid'. HMS_TRACEBACK=1 shows where; please report it with that"


def test_the_default_log_is_in_the_state_folder_of_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/var/state")
    assert log_url(None) == "sqlite:/var/state/hms/log.db"
    assert log_url("") == "sqlite:/var/state/hms/log.db"
    monkeypatch.setenv("XDG_STATE_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", "/home/anna")
    assert log_url(None) == "sqlite:/home/anna/.local/state/hms/log.db"


def test_the_default_log_lies_where_the_hosts_keep_their_state(monkeypatch: pytest.MonkeyPatch) -> None:
    from hms.actors.host import state_folder  # noqa: PLC0415

    for home in ("/var/state", "relative"):
        monkeypatch.setenv("XDG_STATE_HOME", home)
        assert log_file(log_url(None)) == state_folder() / "log.db"


@pytest.mark.parametrize("given", ["log.db", "./log.db", "sqlite:", "mysql:x"])
def test_what_is_no_url_of_a_log_is_a_usage_error(given: str) -> None:
    with pytest.raises(Stop, match="expected sqlite:PATH") as stop:
        log_url(given)
    assert stop.value.code == Exit.USAGE


def test_an_embedded_logs_file_is_known_and_others_have_none() -> None:
    assert log_file("sqlite:/a/b.db") == Path("/a/b.db")
    assert log_file("kafka://a:9092") is None


def test_topics_have_short_names_and_inbox_means_every_lane() -> None:
    assert topics_named(["events"]) == ("hms.events",)
    assert topics_named(["hms.inbox.high", "inbox"]) == (
        "hms.inbox.high",
        *(lane for lane in LANES if lane != "hms.inbox.high"),
    )
    assert "hms.dead-letters" in topics_named(["all"])
    assert "hms.schemas" not in topics_named(["all"])
    with pytest.raises(KeyError, match="bogus"):
        topics_named(["events", "bogus"])


def entry(type_: str = "hms.ComponentExited", source: str = "component/web", destination: str = "") -> Entry:
    envelope = Envelope("id", source, destination or source, type_, NOW_US, "cause")
    return Entry(Stored("hms.events", 0, 1, NOW_US, b"k", b"v", ()), envelope, {})


@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        (EventFilter(), True),
        (EventFilter(types=("hms.ComponentExited",)), True),
        (EventFilter(types=("ComponentExited",)), True),
        (EventFilter(types=("GroupGaveUp", "Component*")), True),
        (EventFilter(types=("GroupGaveUp",)), False),
        (EventFilter(actor="component/web"), True),
        (EventFilter(actor="component/*"), True),
        (EventFilter(actor="component/w"), False),
        (EventFilter(correlation="cause"), True),
        (EventFilter(correlation="other"), False),
        (EventFilter(types=("ComponentExited",), actor="group/*"), False),
    ],
)
def test_a_filter_takes_what_fits_all_that_it_asks_for(wanted: EventFilter, takes: bool) -> None:  # noqa: FBT001
    assert wanted.takes(entry()) is takes


def test_a_message_belongs_to_who_sent_it_and_to_whom_it_went() -> None:
    message = entry("hms.StartMember", "group/front", "component/web")
    assert EventFilter(actor="group/front").takes(message)
    assert EventFilter(actor="component/web").takes(message)


def test_what_the_runtime_notes_for_itself_is_left_out_unless_it_is_asked_for() -> None:
    commit = entry("hms.Commit", "shard/0")
    assert not EventFilter().takes(commit)
    assert EventFilter(everything=True).takes(commit)
    assert EventFilter(types=("Commit",)).takes(commit)
    assert EventFilter().takes(entry("hms.ActorQuarantined"))


def test_what_cannot_be_read_is_shown_only_to_those_who_ask_for_nothing_particular() -> None:
    malformed = entry()._replace(envelope=None)
    assert EventFilter().takes(malformed)
    assert not EventFilter(types=("*",)).takes(malformed)


def test_an_answer_says_as_of_when_and_who_owns_the_log() -> None:
    node = NodeInfo("web-1", frozenset(range(16)), NOW_US, alive=True)
    owned = Freshness(NOW_US, (node,), 16).sentence(NOW_US + SECOND_US)
    assert owned == "as of 2027-01-15T08:00:01Z (last commit 2027-01-15T08:00:00Z) · owned by web-1"
    partly = Freshness(NOW_US, (node._replace(shards=frozenset({1})),), 16).sentence(NOW_US)
    assert partly.endswith("owned by web-1 · 15 of 16 shards without owner")
    orphaned = Freshness(NOW_US, (), 16).sentence(NOW_US)
    assert orphaned == "no node runs: showing the log as of its last commit 2027-01-15T08:00:00Z"
    assert Freshness(0, (), 16).sentence(NOW_US) == "no node runs: empty log"


ITEMS: list[dict[str, Any]] = [
    {"id": "web", "pid": 12, "ready": True},
    {"id": "a-long-name", "pid": None, "ready": False},
]


def test_a_table_is_aligned_and_empty_cells_are_dashes(capsys: pytest.CaptureFixture[str]) -> None:
    show_list(ITEMS, "text", {"ID": "id", "PID": "pid", "READY": lambda item: text(item["ready"])})
    assert capsys.readouterr().out == "ID           PID  READY\nweb          12   yes\na-long-name  -    no\n"


def test_json_is_an_array_and_jsonl_an_item_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_list(ITEMS, "json", {})
    assert json.loads(capsys.readouterr().out) == ITEMS
    show_list(ITEMS, "jsonl", {})
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == ITEMS


def test_an_empty_list_is_an_empty_array_and_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    show_list([], "json", {})
    assert json.loads(capsys.readouterr().out) == []
    show_list([], "text", {"ID": "id"})
    assert capsys.readouterr().out == ""


def test_one_item_is_a_field_a_line_for_people_and_an_object_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    show_one(ITEMS[0], "text", leave_out=("ready",))
    assert capsys.readouterr().out == "id   web\npid  12\n"
    show_one(ITEMS[0], "jsonl")
    assert capsys.readouterr().out.count("\n") == 1


def test_what_a_component_wrote_moves_no_cursor_and_breaks_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    item = {"id": "web", "said": "a\x1b[2Jb\rc\u202ed\ne\x9bf"}
    show_list([item], "text", {"ID": "id", "SAID": "said"})
    assert capsys.readouterr().out.splitlines() == ["ID   SAID", r"web  a\x1b[2Jb\rc\u202ed\ne\x9bf"]
    show_one(item, "text")
    assert capsys.readouterr().out == "id    web\nsaid  a\\x1b[2Jb\\rc\\u202ed\ne\\x9bf\n"
    show_one(item, "json")
    assert json.loads(capsys.readouterr().out) == item


def test_the_doctor_fails_before_it_calls_the_fleet_ill() -> None:
    well, odd = Check("a", "ok", ""), Check("b", "warn", "")
    assert verdict([well, odd]) == Exit.OK
    assert verdict([well, Check("c", "ill", "")]) == Exit.UNHEALTHY
    assert verdict([Check("c", "ill", ""), Check("d", "fail", "")]) == Exit.FAILED


def test_the_last_column_is_cut_where_that_is_asked_for_and_json_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    columns = {"ID": "id", "DATA": "data"}
    items = [{"id": "a", "data": "x" * 301}, {"id": "bc", "data": "y" * 300}]
    show_list(items, "text", columns, cut_last=True)
    show_line(items[0], columns)
    cut = "x" * 299 + "…"
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["ID  DATA", f"a   {cut}", "bc  " + "y" * 300, f"a  {cut}"]
    show_list(items, "json", columns, cut_last=True)
    assert json.loads(capsys.readouterr().out) == items


def test_on_a_terminal_the_last_column_gets_what_the_others_leave(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    show_line({"id": "abc", "data": "x" * 100}, {"ID": "id", "DATA": "data"})
    assert capsys.readouterr().out == "abc  " + "x" * 54 + "…\n"
    show_list([{"id": "abc", "data": "x" * 100}], "text", {"ID": "id", "DATA": "data"}, cut_last=True)
    assert capsys.readouterr().out.splitlines()[1] == "abc  " + "x" * 54 + "…"


@pytest.mark.parametrize(
    ("words", "whole"),
    [
        (["up"], ["HUP reads the file again", "SIGKILL", "takes them over", "code 10"]),
        (["component", "stop"], ["it stays down until somebody starts it."]),
        (["event", "list"], ["cut to the terminal's width"]),
    ],
)
def test_the_help_of_a_command_is_all_of_its_docstring(
    words: list[str], whole: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--help"]) == Exit.OK
    shown = " ".join(capsys.readouterr().out.split())
    assert [text for text in whole if text not in shown] == []


def test_the_list_of_commands_has_the_short_text_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == Exit.OK
    shown = " ".join(capsys.readouterr().out.split())
    assert [name for name, (_, what) in COMMANDS.items() if f"{name} {what[:30]}" not in shown] == []


def test_help_shows_one_default_and_none_where_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["node", "--help"]) == Exit.OK
    shown = capsys.readouterr().out
    assert shown.count("HOST-PID") == 1
    assert not any(empty in shown for empty in ('""', "()", "False", "None"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["doctor", "--bad"], "hms: Unknown option: --bad. See: hms doctor --help\n"),
        (["up"], 'hms: Command "up" parameter --file requires an argument. See: hms up --help\n'),
        (["up", "-f", "x", "extra"], "hms: Unused Tokens: ['extra']. See: hms up --help\n"),
    ],
)
def test_a_mistyped_command_is_answered_in_sentences(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == Exit.USAGE
    assert capsys.readouterr().err == said


def fail_with(secret: str) -> None:
    raise ValueError(len(secret))


def test_warnings_are_plain_lines_and_a_traceback_tells_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    quiet()
    try:
        fail_with("hush" * 2)
    except ValueError:
        structlog.get_logger("hms.test").exception("it_failed", shard=3)
    finally:
        structlog.configure(**before)
    said = capsys.readouterr().err
    first, *trace = said.splitlines()
    assert first.split("Z ", 1)[1] == "[error] it_failed shard=3"
    assert trace[-1] == "ValueError: 8"
    assert "hushhush" not in said
    assert "\x1b" not in said
