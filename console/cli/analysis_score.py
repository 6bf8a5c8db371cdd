"""`hms analysis score`: how unusual each sample of a series is, each from its past alone."""

import csv
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal, TypeAlias

from cyclopts import Parameter

from ...actors.analysis.anomaly import Scored, score_series
from ...actors.analysis.files import BadLine, SeriesFile, read_series
from .exit_codes import Exit
from .show import Item, say, show_list, write_line

Form: TypeAlias = Annotated[
    Literal["text", "csv", "json", "jsonl"],
    Parameter(name=("--output", "-o"), help="text shows the onsets only; csv, json and jsonl every row"),
]
File: TypeAlias = Annotated[
    str,
    Parameter(
        name="FILE",
        allow_leading_hyphen=True,
        help="CSV with the columns `timestamp` and `value`; - for standard input",
    ),
]
COLUMNS: Final = ("file", "timestamp", "value", "score", "onset", "state")
TEXT_COLUMNS: Final = {"FILE": "file", "ONSET AT": "timestamp", "VALUE": "value", "SCORE": "score"}
BAD_LINES_SHOWN: Final = 20


def score(first: File, /, *others: File, form: Form = "text") -> int:
    """Score every sample of each file by how unusual it is, each row from the rows before it alone.

    Columns: `file,timestamp,value` as given, `score` from 0 to 1, `onset` 1 where an anomaly begins (one alert) and `state` 1
    while it lasts, else 0. The threshold is fixed (0.5) and nothing is to be set. A row that repeats or precedes an
    earlier timestamp, or whose value is missing, NaN or infinite, scores 0 and teaches nothing. A line that is no
    `timestamp,value` is named on standard error, left out, and the exit code is 1.
    """
    series = [read_series(file) for file in (first, *others)]
    items = _items(series, score_series([one.columns() for one in series]))
    match form:
        case "csv":
            _write_csv(items)
        case "jsonl":
            for item in items:
                write_line(item)
        case "json":
            show_list(list(items), "json", {})
        case "text":
            show_list([item for item in items if item["onset"]], "text", TEXT_COLUMNS)
    return say_bad([line for one in series for line in one.bad])


def _items(series: Sequence[SeriesFile], scored: Sequence[Scored]) -> Iterator[Item]:
    for one, (scores, onsets, states) in zip(series, scored, strict=True):
        found = zip(one.rows, scores.tolist(), onsets.tolist(), states.tolist(), strict=True)
        for row, unusual, onset, state in found:
            values = (one.path, row.timestamp, row.text, unusual, int(onset), int(state))
            yield dict(zip(COLUMNS, values, strict=True))


def _write_csv(items: Iterator[Item]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(item.values() for item in items)


def say_bad(lines: Sequence[BadLine]) -> int:
    """Name the lines that could not be read, and return the exit code that this leads to."""
    for line in lines[:BAD_LINES_SHOWN]:
        say(str(line))
    if len(lines) > BAD_LINES_SHOWN:
        say(f"... and {len(lines) - BAD_LINES_SHOWN} lines more that could not be read")
    return Exit.FAILED if lines else Exit.OK
