"""Kafka's partitioner."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hms.schemas import partition_of
from hms.schemas.partition import murmur2


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_the_one_of_kafkas_own_tests(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed & 0xFFFFFFFF


def test_a_partition_is_the_positive_hash_modulo_their_number() -> None:
    assert partition_of(b"foobar", 16) == (-790332482 & 0x7FFFFFFF) % 16


@given(st.text(), st.integers(1, 64))
def test_a_text_counts_as_its_utf_8(key: str, partitions: int) -> None:
    assert partition_of(key, partitions) == partition_of(key.encode(), partitions)
    assert 0 <= partition_of(key, partitions) < partitions
