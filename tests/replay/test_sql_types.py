"""Every type that DuckDB has, from a query to whoever reads the answer."""

import asyncio
import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hms.console.cli.sql.forms import form_of
from hms.console.cli.sql.rows import rows_of
from hms.replay.sql.limits import Limits
from hms.replay.sql.process import Process

AS_IT_IS: dict[str, Any] = {
    "NULL": None,
    "DATE '2024-02-29'": "2024-02-29",
    "TIME '12:00:00.5'": "12:00:00.500000",
    "TIMETZ '12:30:00+02'": "12:30:00+02",
    "TIMESTAMP '2024-02-29 12:00:00'": "2024-02-29T12:00:00",
    "TIMESTAMPTZ '2024-02-29 12:00:00+05'": "2024-02-29T07:00:00.000000Z",
    "TIMESTAMP_NS '2024-01-01 00:00:00.123456789'": "2024-01-01 00:00:00.123456789",
    "'infinity'::TIMESTAMPTZ": "infinity",
    "'-infinity'::TIMESTAMP": "-infinity",
    "'infinity'::DATE": "infinity",
    "DATE '9999-12-31' + 1": "10000-01-01",
    "[DATE '9999-12-31' + 1, NULL]": ["10000-01-01", None],
    "{'a': 'infinity'::DATE, 'b': 1}": {"a": "infinity", "b": 1},
    "MAP {'a': 'infinity'::DATE}": {"a": "infinity"},
    "INTERVAL 1 hour + INTERVAL 3 day": "3 days 01:00:00",
    "[INTERVAL 90 second]": ["00:01:30"],
    "'x'::ENUM('x', 'y')": "x",
    """{'a "b"': 'y'::ENUM('x', 'y'), 'c': 2}""": {'a "b"': "y", "c": 2},
    "MAP {'x'::ENUM('x'): INTERVAL 1 second}": {"x": "00:00:01"},
    "array_value(1, 2)": [1, 2],
    "union_value(one := 1)": "1",
    "MAP {'a': 1.5::DOUBLE, 'b': NULL}": {"a": 1.5, "b": None},
    "UUID '2bcac592-9fb4-4077-a298-db9fb9678077'": "2bcac592-9fb4-4077-a298-db9fb9678077",
    "'101'::BIT": "101",
    "'\\x00\\xFF'::BLOB": "AP8=",
    "170141183460469231731687303715884105727": 170141183460469231731687303715884105727,
    "340282366920938463463374607431768211455::UHUGEINT": "340282366920938463463374607431768211455",
    "99999999999999999999999999999999999999999999::BIGNUM": "99999999999999999999999999999999999999999999",
    "0.1::DECIMAL(9, 4)": 0.1,
    "123456789012345678.123456789::DECIMAL(38, 9)": "123456789012345678.123456789",
    "1.00::DECIMAL(9, 2)": 1,
    "'nan'::DOUBLE": None,
}


async def _batches(sql: str, limits: Limits) -> list[Any]:
    process = await Process.start(limits, [], [])
    try:
        return [part async for part in process.query(sql, {})]
    finally:
        await process.close()


@pytest.fixture(scope="module")
def answer() -> list[Any]:
    columns = ", ".join(f"{one} AS v{place}" for place, one in enumerate(AS_IT_IS))
    return asyncio.run(_batches(f"SELECT {columns}", Limits(256, 20_000, 1)))


@pytest.mark.parametrize(("place", "sql"), list(enumerate(AS_IT_IS)))
def test_a_value_of_each_type_is_told_whole(answer: list[Any], place: int, sql: str) -> None:
    (row,) = [row for batch in answer[1:] for row in rows_of(batch)]
    assert row[f"v{place}"] == AS_IT_IS[sql]


def test_an_answer_with_each_type_can_be_written_as_parquet(answer: list[Any]) -> None:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_batches(answer[1:]), file)
    assert pq.read_table(file).num_rows == 1


def test_two_columns_of_one_name_keep_it_whatever_their_types() -> None:
    schema, *_ = asyncio.run(_batches("SELECT 1 AS a, INTERVAL 1 day AS a", Limits(256, 20_000, 1)))
    assert schema.names == ["a", "a"]


def test_who_reads_slowly_takes_no_time_from_the_query() -> None:
    async def read_slowly() -> int:
        process = await Process.start(Limits(256, 20_000, 1), [], [])
        loop = asyncio.get_running_loop()
        begun, read_s, rows = loop.time, 0, 0
        loop.time = lambda: begun() + read_s  # type: ignore[method-assign]
        try:
            async for part in process.query("SELECT repeat('x', 100) AS x FROM range(200000)", {}):
                if isinstance(part, pa.RecordBatch):
                    read_s += 60 if rows == 0 else 0
                    rows += part.num_rows
        finally:
            await process.close()
        return rows

    assert asyncio.run(read_slowly()) == 200_000


def _numbers(batches: int, rows: int) -> Iterator[pa.RecordBatch]:
    for batch in range(batches):
        yield pa.RecordBatch.from_pydict({"n": list(range(batch * rows, (batch + 1) * rows))})


def test_a_table_of_very_many_rows_is_written_as_it_comes() -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        form = form_of("text", pa.schema([("n", pa.int64())]))
        for batch in _numbers(3, 6_000):
            form.take(batch)
            assert f"\n{batch.column(0)[-1]}\n" in out.getvalue()
        form.end()
    assert out.getvalue().split() == ["n", *map(str, range(18_000))]


def test_what_would_move_a_terminal_s_cursor_is_written_as_json_writes_it() -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        form = form_of("text", pa.schema([("a", pa.string()), ("b", pa.int64())]))
        form.take(pa.RecordBatch.from_pydict({"a": ["two\nlines \x1b[31m"], "b": [1]}))
        form.end()
    assert out.getvalue().splitlines()[1] == "two\\nlines \\x1b[31m  1"
