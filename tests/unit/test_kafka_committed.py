"""Committed records out of raw batches: what is skipped, what is kept, and where to go on."""

from struct import pack

import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from hms.core.log.kafka.committed import Batches, Buffer, end_of
from hms.core.log.kafka.lenient import decode_batch
from hms.core.log.port import EVENTS

PLACE = (EVENTS, 3)
ABORT, COMMIT = 0, 1
PLAIN, ZSTD = 0, 4


def batch(
    base: int,
    *values: str,
    producer: int = -1,
    transactional: bool = False,
    codec: int = PLAIN,
    control: int | None = None,
) -> bytes:
    """Return a batch as a broker keeps it; `control` makes it a marker."""
    builder = DefaultRecordBatchBuilder(2, codec, int(transactional), producer, 0, 0, 1 << 20)
    if control is not None:
        builder.append(0, 1_000, pack(">HH", 0, control), b"", [])
    for offset, value in enumerate(values):
        builder.append(offset, 1_000 + offset, b"k", value.encode(), [("h", b"1"), ("none", None)])
    data = bytearray(builder.build())
    data[0:8] = pack(">q", base)
    if control is not None:
        data[22] |= 0x20  # the attribute of a control batch
        data[17:21] = pack(">I", crc32c(bytes(data[21:])))
    return bytes(data)


def crc32c(data: bytes) -> int:
    found: int = calc_crc32c(data)
    return found


def everything(batches: Batches, step: int = 2) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    while not batches.done:
        part = batches.take(step, headers=False)
        assert len(part) <= step
        found += [(record.offset, (record.value or b"").decode()) for record in part]
    return found


def test_records_come_with_their_place_time_key_and_headers() -> None:
    (first, second) = Batches(PLACE, 5, batch(5, "a", "b"), ()).take(9, headers=True)
    assert first == (EVENTS, 3, 5, 1_000_000, b"k", b"a", (("h", b"1"), ("none", b"")))
    assert (second.offset, second.at_us) == (6, 1_001_000)


def test_headers_are_left_out_when_they_are_not_asked_for() -> None:
    assert [one.headers for one in Batches(PLACE, 0, batch(0, "a"), ()).take(9, headers=False)] == [()]


@pytest.mark.parametrize("step", [1, 2, 3, 100])
@pytest.mark.parametrize("codec", [PLAIN, ZSTD])
def test_a_batch_that_begins_before_the_position_gives_what_is_behind_it_and_all_of_that(codec: int, step: int) -> None:
    data = batch(10, *"abcdefgh", codec=codec) + batch(18, "i", codec=codec)
    assert everything(Batches(PLACE, 13, data, ()), step) == [
        (13, "d"),
        (14, "e"),
        (15, "f"),
        (16, "g"),
        (17, "h"),
        (18, "i"),
    ]


def test_records_of_aborted_transactions_are_skipped_and_others_of_that_producer_are_not() -> None:
    data = (
        batch(0, "aborted", producer=7, transactional=True)
        + batch(1, "open to all")
        + batch(2, "committed", producer=8, transactional=True)
        + batch(3, producer=7, transactional=True, control=ABORT)
        + batch(4, "again", producer=7, transactional=True)
        + batch(5, producer=8, transactional=True, control=COMMIT)
        + batch(6, "aborted too", producer=8, transactional=True)
    )
    batches = Batches(PLACE, 0, data, [(8, 6), (7, 0)])
    assert everything(batches) == [(1, "open to all"), (2, "committed"), (4, "again")]
    assert batches.position == batches.end == 7


def test_a_transaction_that_began_before_the_position_is_skipped_too() -> None:
    data = batch(10, "aborted", producer=7, transactional=True) + batch(
        11, producer=7, transactional=True, control=ABORT
    )
    batches = Batches(PLACE, 10, data + batch(12, "next"), [(7, 4)])
    assert everything(batches) == [(12, "next")]


def test_markers_alone_move_the_position() -> None:
    batches = Batches(PLACE, 4, batch(4, producer=7, transactional=True, control=COMMIT), ())
    assert batches.take(9, headers=False) == []
    assert (batches.position, batches.done) == (5, True)


def test_a_batch_cut_off_by_the_limit_of_bytes_is_left_for_the_next_fetch() -> None:
    whole = batch(0, "a") + batch(1, "b")
    batches = Batches(PLACE, 0, whole[:-1], ())
    assert everything(batches) == [(0, "a")]
    assert batches.end == 1
    assert end_of(whole[:20]) == 0


def test_a_wrong_checksum_is_an_error_and_no_record() -> None:
    damaged = bytearray(batch(0, "a"))
    damaged[-1] ^= 1
    with pytest.raises(CorruptRecordException, match=f"{EVENTS}/3"):
        Batches(PLACE, 0, bytes(damaged), ()).take(1, headers=False)


def with_a_bad_header_name(data: bytes) -> bytes:
    damaged = bytearray(data)
    at = damaged.rindex(b"none")
    damaged[at] = 0xFF
    damaged[17:21] = pack(">I", crc32c(bytes(damaged[21:])))
    return bytes(damaged)


@pytest.mark.parametrize("step", [1, 2, 100])
def test_a_strangers_header_whose_name_is_no_text_stops_nobody(step: int) -> None:
    data = batch(0, *"abc") + with_a_bad_header_name(batch(3, *"def")) + batch(6, "g")
    assert everything(Batches(PLACE, 1, data, ()), step) == list(zip(range(1, 7), "bcdefg", strict=True))
    (record,) = Batches(PLACE, 5, data, ()).take(1, headers=True)
    assert record == (EVENTS, 3, 5, 1_002_000, b"k", b"f", (("h", b"1"), ("\ufffdone", b"")))


@pytest.mark.parametrize("codec", range(5))
def test_the_slow_decoder_agrees_with_the_fast_one(codec: int) -> None:
    values = ["", "x" * 300, "é"]
    fast = next(iter([MemoryRecords(batch(40, *values, codec=codec)).next_batch()]))
    expected = [(one.offset, one.timestamp, one.key, one.value, list(one.headers)) for one in fast]
    assert [tuple(one) for one in decode_batch(batch(40, *values, codec=codec))] == expected


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.lists(st.integers(1, 4), min_size=1), st.integers(0, 8))
def test_a_buffer_gives_every_record_once_however_it_was_filled_and_taken(
    sizes: list[int], steps: list[int], start: int
) -> None:
    buffer, base = Buffer(PLACE, start), 0
    for size in sizes:
        if base + size > buffer.end:
            buffer.add(batch(base, *map(str, range(base, base + size))), ())
        base += size
    found, count = [], 0
    while buffer.position < buffer.end:
        part = buffer.take(steps[count % len(steps)], headers=False)
        assert part.position == buffer.position
        found += [record.offset for record in part.records]
        count += 1
    assert found == list(range(start, base))
    assert buffer.size == 0
