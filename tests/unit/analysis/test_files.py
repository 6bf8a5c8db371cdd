"""Files of others: timestamps in the usual forms, bad lines by file and line, and what is missing."""

import io
import json
import math
import sys
from pathlib import Path

import pytest

from hms.actors.analysis.files import GraphFileInvalid, TableInvalid, read_graph, read_metrics, read_series, stamp_us

APRIL_US = 1_396_310_700_000_000


@pytest.mark.parametrize(
    "text",
    [
        "2014-04-01 00:05:00", "2014-04-01 00:05:00.000000", "2014-04-01T00:05:00Z", "2014-04-01T02:05:00+02:00",
        "2014-04-01T00:05", "20140401T000500Z", "1396310700", "1396310700.0", "1396310700000", "1396310700000000",
        "1396310700000000000", "1.3963107e9", " 1396310700 ",
    ],
)  # fmt: skip
def test_the_same_instant_in_every_usual_form(text: str) -> None:
    assert stamp_us(text) == APRIL_US


def test_fractions_and_instants_before_1970_are_kept() -> None:
    assert stamp_us("2014-04-01 00:05:00.250001") == APRIL_US + 250_001
    assert stamp_us("1396310700.25") == APRIL_US + 250_000
    assert stamp_us("-1") == -1_000_000


@pytest.mark.parametrize("text", ["", "yesterday", "2014-13-01", "1e400", "nan", "12:00"])
def test_what_is_no_timestamp_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a timestamp"):
        stamp_us(text)


def written(tmp_path: Path, text: str, name: str = "series.csv") -> str:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def values(path: str) -> list[float]:
    return [row.value for row in read_series(path).rows]


@pytest.mark.parametrize(
    "text",
    [
        "timestamp,value\n0,1\n60,2\n", "value,host,timestamp\n1,a,0\n2,a,60\n", "0,1\n60,2\n",
        "\ufeffTimestamp, Value\r\n0, 1\r\n60, 2",
        'timestamp,value\n"0","1"\n\n60,2\n',
    ],
)  # fmt: skip
def test_columns_are_found_by_name_or_by_place(tmp_path: Path, text: str) -> None:
    assert [(row.at_us, row.value) for row in read_series(written(tmp_path, text)).rows] == [(0, 1), (60_000_000, 2)]


@pytest.mark.parametrize("text", ["", "timestamp,value\n"])
def test_a_file_without_rows_is_an_empty_series(tmp_path: Path, text: str) -> None:
    assert read_series(written(tmp_path, text)).rows == []


def test_what_was_not_measured_is_a_row_without_a_number(tmp_path: Path) -> None:
    got = values(written(tmp_path, "timestamp,value\n0,\n1,NaN\n2,null\n3,inf\n4,1e308\n"))
    assert all(map(math.isnan, got[:3]))
    assert got[3:] == [math.inf, 1e308]


def test_a_bad_line_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, "timestamp,value\n0,1\nyesterday,2\n2,many\n3\n4,5\n")
    series = read_series(path)
    assert [row.value for row in series.rows] == [1, 5]
    assert [str(line) for line in series.bad] == [
        f"{path}:3: expected a timestamp such as 2014-04-01 00:05:00 or seconds since 1970, got 'yesterday'",
        f"{path}:4: expected a number, got 'many'",
        f"{path}:5: expected 2 fields, got 1",
    ]


def test_a_file_without_the_columns_says_which_are_missing(tmp_path: Path) -> None:
    with pytest.raises(
        TableInvalid, match=r"series\.csv: expected the columns timestamp, value; missing in line 1: value"
    ):
        read_series(written(tmp_path, "timestamp,load\n0,1\n"))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(TableInvalid, match="expected text in UTF-8"):
        read_series(str(tmp_path / "x"))


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("timestamp,value\n0,7\n"))
    assert values("-") == [7]


def test_metrics_are_a_series_per_component_and_metric_in_order_of_time(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "timestamp,component,metric,value\n2,web,cpu,0.5\n1,web,cpu,0.4\n1,db,io,9\nx,db,io,9\n1,,io,9\n1,db,,9\n",
    )
    metrics, bad = read_metrics(path)
    assert {key: (list(at_us), list(value)) for key, (at_us, value) in metrics.items()} == {
        ("web", "cpu"): ([1_000_000, 2_000_000], [0.4, 0.5]),
        ("db", "io"): ([1_000_000], [9.0]),
    }
    assert [line.line for line in bad] == [5, 6, 7]


def test_a_graph_is_a_list_of_calls(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "\ufeff" + json.dumps([{"caller": "web", "callee": "db"}, {"caller": "web", "callee": "db", "rate": 3}]),
    )
    assert read_graph(path).callees == {"web": ["db"], "db": []}


@pytest.mark.parametrize(
    "text", ["{}", '[{"caller": "web"}]', '[{"caller": 1, "callee": "x"}]', "[", '["web"]', "[" * 99_999]
)
def test_a_graph_of_another_form_is_refused_with_the_form(tmp_path: Path, text: str) -> None:
    with pytest.raises(GraphFileInvalid, match="expected"):
        read_graph(written(tmp_path, text))
