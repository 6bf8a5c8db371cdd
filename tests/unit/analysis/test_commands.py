"""`hms analysis score` and `hms analysis causes`: what they print, and how they end."""

import csv
import io
import json
from pathlib import Path

import pytest

from hms.console.cli import main

Run = pytest.CaptureFixture[str]
ROWS = 600


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Write a sawtooth with one spike near its end."""
    path = tmp_path / "load.csv"
    values = [row % 7 + (100 if row == 500 else 0) for row in range(ROWS)]
    lines = [f"2014-04-01 {row // 60:02}:{row % 60:02}:00,{value}.50" for row, value in enumerate(values)]
    path.write_text("\n".join(["timestamp,value", *lines]), encoding="utf-8")
    return path


@pytest.fixture
def incident(tmp_path: Path) -> list[str]:
    """Write the metrics of two components of which the called one uses four times its memory, and their graph."""
    metrics, graph = tmp_path / "metrics.csv", tmp_path / "graph.json"
    lines = ["timestamp,component,metric,value"]
    for second in range(0, 1_200, 10):
        wave = second % 30
        lines += [f"{second},web,latency,{20 + wave / 10 + (20 if second >= 900 else 0)}"]
        lines += [f"{second},store,memory,{(100 + wave) * (4 if second >= 900 else 1)}"]
    metrics.write_text("\n".join(lines), encoding="utf-8")
    graph.write_text(json.dumps([{"caller": "web", "callee": "store"}]), encoding="utf-8")
    return ["analysis", "causes", "--metrics", str(metrics), "--graph", str(graph), "--at"]


def test_score_prints_a_row_for_each_row_as_it_was_written(series: Path, capsys: Run) -> None:
    assert main(["analysis", "score", str(series), "-o", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == ["file", "timestamp", "value", "score", "onset", "state"]
    assert len(rows) == ROWS
    assert [row["timestamp"] for row in rows if row["onset"] == "1"] == ["2014-04-01 08:20:00"]
    assert rows[500]["value"] == "103.50"
    assert rows[500]["file"] == str(series)
    assert float(rows[500]["score"]) > 0.5
    assert rows[501]["state"] == "1"


def test_score_takes_several_files_and_keeps_their_order(series: Path, tmp_path: Path, capsys: Run) -> None:
    short = tmp_path / "short.csv"
    short.write_text("timestamp,value\n0,1\n", encoding="utf-8")
    assert main(["analysis", "score", str(short), str(series), "-o", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["file"] for row in rows] == [str(short)] + [str(series)] * ROWS


def test_score_as_text_shows_the_onsets_only(series: Path, capsys: Run) -> None:
    assert main(["analysis", "score", str(series)]) == 0
    heading, onset = capsys.readouterr().out.splitlines()
    assert heading.split() == ["FILE", "ONSET", "AT", "VALUE", "SCORE"]
    assert "2014-04-01 08:20:00" in onset


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_score_as_json_has_the_same_columns(series: Path, capsys: Run, form: str) -> None:
    assert main(["analysis", "score", str(series), "-o", form]) == 0
    out = capsys.readouterr().out
    items = json.loads(out) if form == "json" else [json.loads(line) for line in out.splitlines()]
    assert len(items) == ROWS
    assert items[0] | {"score": 0} == {
        "file": str(series), "timestamp": "2014-04-01 00:00:00", "value": "0.50", "score": 0, "onset": 0, "state": 0,
    }  # fmt: skip


def test_score_names_the_lines_it_could_not_read_and_ends_with_1(series: Path, capsys: Run) -> None:
    with series.open("a", encoding="utf-8") as file:
        file.write("\nyesterday,1\n")
    assert main(["analysis", "score", str(series), "-o", "csv"]) == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == ROWS + 1
    assert f"{series}:602: expected a timestamp" in captured.err


def test_score_of_a_file_that_is_not_there_says_so(tmp_path: Path, capsys: Run) -> None:
    assert main(["analysis", "score", str(tmp_path / "none.csv")]) == 1
    assert "none.csv: No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize("seen", ["900", "1970-01-01T00:15:00Z", "1970-01-01 00:15:00"])
def test_causes_ranks_the_components_best_first_with_evidence(incident: list[str], capsys: Run, seen: str) -> None:
    assert main([*incident, seen, "-o", "json"]) == 0
    store, web = json.loads(capsys.readouterr().out)
    assert (store["component"], web["component"]) == ("store", "web")
    assert store["score"] > web["score"]
    assert store["evidence"][0]["metric"] == "memory"


def test_causes_as_text_tells_the_evidence_in_a_line(incident: list[str], capsys: Run) -> None:
    assert main([*incident, "900"]) == 0
    assert "memory up 110 -> 440" in capsys.readouterr().out


def test_causes_refuses_a_time_that_is_none(incident: list[str], capsys: Run) -> None:
    assert main([*incident, "soon"]) == 2
    assert "expected an instant" in capsys.readouterr().err
