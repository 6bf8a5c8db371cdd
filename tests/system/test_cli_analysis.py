"""`hms metric import` and `hms analysis` on a running node, as people use them; and the process that looks, when it dies."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from hms.actors.analysis.looking.looker import MODULE

from ..command import HMS

BEGIN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=8)
EVIL = "<script>alert(1)</script>"


class Desk:
    """Commands on one log, on which a node runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "XDG_STATE_HOME": str(folder), "HMS_LOG": ""}
        self.url = f"sqlite:{folder / 'hms' / 'log.db'}"

    def __call__(self, *arguments: str, code: int = 0, text: str = "") -> str:
        done = subprocess.run(
            [*HMS, *arguments],
            cwd=self.folder,
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert done.returncode == code, done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "-o", "json"))


def series(spike: int = 420) -> str:
    lines = ["timestamp,value"]
    for minute in range(480):
        value = "nan" if minute == 7 else str(20 + minute % 7 + (60 if minute == spike else 0))
        lines.append(f"{(BEGIN + timedelta(minutes=minute)).isoformat()},{value}")
    return "\n".join(lines)


def wait(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"expected {what} within {seconds} s"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk(tmp_path_factory.mktemp("analysis"))
    (desk.folder / "load.csv").write_text(series())
    with (desk.folder / "node.out").open("w") as out:
        node = subprocess.Popen([*HMS, "node"], cwd=desk.folder, env=desk.environment, stdout=out, stderr=out)
        try:
            wait(lambda: "owns" in (desk.folder / "node.out").read_text(), "the node to own the log")
            yield desk
        finally:
            node.terminate()
            node.wait(60)


def imported(desk: Desk, component: str, metric: str = "load", file: str = "load.csv") -> Any:
    return desk.json("metric", "import", file, "--component", component, "--metric", metric)


def test_a_series_is_imported_once_however_often_and_seen_in_sql(desk: Desk) -> None:
    assert imported(desk, "once")["taken"] == 480
    assert imported(desk, "once")["taken"] == 0
    (desk.folder / "grown.csv").write_text(series() + f"\n{datetime.now(UTC).isoformat()},1")
    assert imported(desk, "once", file="grown.csv") == {
        "component": "once",
        "metric": "load",
        "taken": 1,
        "left_out": 480,
    }
    query = "SELECT count(*) AS n, count(value) AS measured FROM metric_samples WHERE component = 'once'"
    assert desk.json("sql", query) == [{"n": 481, "measured": 480}]


def test_standard_input_is_imported_and_a_bad_line_is_named(desk: Desk) -> None:
    desk("metric", "import", "-", "--component", "piped", text="timestamp,value\n2026-01-01,1\nsoon,2\n", code=1)
    assert desk.json("sql", "SELECT value FROM metric_samples WHERE component = 'piped'") == [{"value": 1.0}]
    scored = desk("analysis", "score", "-", "-o", "csv", text="timestamp,value\n2026-01-01,1\n")
    assert scored == "file,timestamp,value,score,onset,state\n-,2026-01-01,1,0.0,0,0\n"


def test_an_onset_is_an_alert_that_can_be_acknowledged(desk: Desk) -> None:
    imported(desk, "loud")
    assert desk.json("analysis", "look")["samples"] >= 480
    found = [one for one in desk.json("analysis", "alerts", "list") if one["component"] == "loud"]
    assert [one["at"][:16] for one in found] == [(BEGIN + timedelta(minutes=420)).isoformat()[:16]]
    answer = desk.json("analysis", "alerts", "ack", found[0]["id"][:12], "--note", "a test")
    assert (answer["acknowledged_by"][:7], answer["note"]) == ("client/", "a test")
    told = desk.json("sql", "SELECT alert_id, score FROM anomaly_detection WHERE component = 'loud'")
    assert [one["alert_id"] for one in told] == [found[0]["id"]]
    assert told[0]["score"] == found[0]["score"]
    desk("analysis", "alerts", "ack", "nothing", code=3)


def test_a_silenced_component_alerts_nobody(desk: Desk) -> None:
    silence = desk.json("analysis", "alerts", "silence", "--component", "quiet", "--for", "2h", "--reason", "moving")
    assert [one["id"] for one in desk.json("analysis", "alerts", "silences")] == [silence["id"]]
    imported(desk, "quiet")
    desk("analysis", "look")
    (alert,) = [one for one in desk.json("analysis", "alerts", "list") if one["component"] == "quiet"]
    assert alert["silenced"]
    assert desk.json("sql", "SELECT count(*) AS n FROM anomaly_detection WHERE component = 'quiet'") == [{"n": 0}]
    desk("analysis", "alerts", "silence", "--for", "soon", code=2)


def test_the_process_that_looks_may_die_and_the_next_look_goes_on(desk: Desk) -> None:
    before = desk.json("analysis", "look")
    children = lookers(desk)
    assert len(children) == 1
    os.kill(children[0], signal.SIGKILL)
    imported(desk, "later")
    after = desk.json("analysis", "look")
    assert (after["look"], after["samples"]) == (before["look"] + 1, 480)
    assert [one["component"] for one in desk.json("analysis", "alerts", "list")].count("loud") <= 1


def test_a_look_whose_process_dies_under_it_is_taken_again(desk: Desk) -> None:
    desk("analysis", "look")
    (child,) = lookers(desk)
    os.kill(child, signal.SIGSTOP)
    command = [*HMS, "analysis", "look", "-o", "json"]
    with subprocess.Popen(command, env=desk.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as look:
        under_way = "SELECT (SELECT count(*) FROM look_asked) - (SELECT count(*) FROM look_ended) AS n"
        wait(lambda: desk.json("sql", under_way) == [{"n": 1}], "a look to be under way")
        os.kill(child, signal.SIGKILL)
        out, err = look.communicate(timeout=100)
    assert look.returncode == 0, err
    assert not json.loads(out)["behind"]
    assert lookers(desk) != [child]


def lookers(desk: Desk) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if MODULE.encode() in words and any(str(desk.folder).encode() in word for word in words):
            found.append(int(path.parent.name))
    return found


def test_it_looks_again_and_again_until_told_not_to(desk: Desk) -> None:
    count = "SELECT count(*) AS n FROM look_ended"
    (before,) = desk.json("sql", count)
    desk("analysis", "watch", "--every", "1s")
    wait(lambda: desk.json("sql", count)[0]["n"] >= before["n"] + 2, "two looks")
    desk("analysis", "watch", "--off")
    desk("analysis", "watch", code=2)


def test_why_there_is_no_ranking_is_said(desk: Desk) -> None:
    desk("analysis", "causes", "nothing", code=1)
    desk("analysis", "causes", "nothing", "--at", "0", code=2)


class Page(HTMLParser):
    """Counts tags, and keeps what would be loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [value or "" for name, value in attrs if name in {"src", "href", "data", "srcset", "action"}]


def test_the_report_is_text_json_and_a_page_that_loads_nothing_and_runs_nothing(desk: Desk) -> None:
    imported(desk, EVIL.replace("/", ""), metric=EVIL)
    report = desk.json("analysis", "report", "--since", "-9h", "--metric", "load", "--metric", EVIL)
    (loud,) = [one for one in report["components"] if one["component"] == "loud"]
    assert loud["anomalies"] == 1
    assert "loud" in desk("analysis", "report", "--since", "-9h")
    page = desk("analysis", "report", "--since", "-9h", "-o", "html")
    parser = Page()
    parser.feed(page)
    assert parser.loaded == []
    assert "script" not in parser.tags
    assert parser.tags.count("svg") >= len(report["components"])
    assert "&lt;script&gt;alert(1)" in page
    assert "http" not in page.replace('http-equiv="', "")
