"""Drafts as record batches: what is produced, in the order of the drafts, a batch or more a partition."""

import time
from collections.abc import Sequence
from typing import Final

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from ...errors import ValidationFailed
from ..limits import check_draft
from ..port import CO_PARTITIONED, RECORD_BYTES_MAX, SCHEMAS, Draft
from .address import KafkaAddress

BATCH_BYTES_MAX: Final = 1_000_000
"""Before compression; a single record may be larger by what frames it."""
COMPRESSED_FROM_BYTES: Final = 1_500
"""Less is not worth the 10 us that a compressor takes to begin."""
CODECS: Final = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
_SEQUENCE_MASK: Final = 0x7FFFFFFF
_NO_HEADERS: Final[list[tuple[str, bytes | None]]] = []


class Batch:
    """Records of one partition: `numbers` are their places among the drafts."""

    __slots__ = ("_builder", "append", "data", "numbers", "offset", "partition", "topic", "uncertain")

    def __init__(self, topic: str, partition: int, builder: DefaultRecordBatchBuilder) -> None:
        self.topic = topic
        """As the log names it."""
        self.partition = partition
        self.numbers: list[int] = []
        self.append = builder.append
        self.offset = -1
        """Of its first record, once it is in the log."""
        self.uncertain = False
        """Whether a broker may have it without having said so."""
        self.data = b""
        self._builder = builder

    def close(self, producer_id: int, producer_epoch: int, sequence: int) -> None:
        """Compress and sum up; nothing is appended from now on."""
        self._builder.set_producer_state(producer_id, producer_epoch, sequence)
        self.data = bytes(self._builder.build())
        del self._builder, self.append


class Places:
    """The topics and partitions that may be written to, with the topics' names on the cluster."""

    def __init__(self, address: KafkaAddress, partitions: int) -> None:
        self._counts = dict.fromkeys(CO_PARTITIONED, partitions) | {SCHEMAS: 1}
        self.names = {topic: address.topic(topic) for topic in self._counts}
        self.known = {(topic, number) for topic, count in self._counts.items() for number in range(count)}

    def check_place(self, topic: str, partition: int) -> None:
        """Raise `ValidationFailed` for a partition that is not there."""
        if (topic, partition) not in self.known:
            counts = ", ".join(f"{name}/0-{count - 1}" for name, count in self._counts.items())
            raise ValidationFailed(f"{topic}/{partition}: no such partition; expected one of {counts}")

    def check(self, drafts: Sequence[Draft]) -> None:
        """Raise `ValidationFailed` or `RecordTooLarge` if any draft cannot be taken: before anything is produced."""
        known = self.known
        for draft in drafts:
            topic, partition, key, value, headers = draft
            if (topic, partition) not in known:
                self.check_place(topic, partition)
            weight = sum(
                [4 * len(name) + len(data) for name, data in headers]
            )  # at most: UTF-8 has up to 4 bytes a character
            if value is None or len(key) + len(value) + weight > RECORD_BYTES_MAX:
                check_draft(draft)


class Encoder:
    """Makes the batches of one producer, numbered as brokers want them: all that it makes must be produced, in order."""

    def __init__(self, producer_id: int, producer_epoch: int, *, transactional: bool, codec: str) -> None:
        self._producer = (producer_id, producer_epoch)
        self._transactional = int(transactional)
        self._codec = CODECS[codec]
        self._sequences: dict[tuple[str, int], int] = {}

    def encode(self, drafts: Sequence[Draft]) -> list[Batch]:
        """Return the batches, those of one partition in order; the drafts are checked already."""
        groups: dict[tuple[str, int], list[int]] = {}
        for number, (topic, partition, _, _, _) in enumerate(drafts):
            group = groups.get((topic, partition))
            if group is None:
                group = groups[topic, partition] = []
            group.append(number)
        now_ms = time.time_ns() // 1_000_000
        batches: list[Batch] = []
        for (topic, partition), numbers in groups.items():
            batches += self._batches(topic, partition, numbers, drafts, now_ms)
        for batch in batches:
            self._close(batch)
        return batches

    def _batches(
        self, topic: str, partition: int, numbers: list[int], drafts: Sequence[Draft], now_ms: int
    ) -> list[Batch]:
        size = sum([len(drafts[number].value or b"") for number in numbers])
        codec = self._codec if size >= COMPRESSED_FROM_BYTES else 0
        batches = [Batch(topic, partition, self._builder(codec))]
        for number in numbers:
            _, _, key, value, headers = drafts[number]
            listed = [*headers] if headers else _NO_HEADERS
            if batches[-1].append(len(batches[-1].numbers), now_ms, key, value, listed) is None:
                batches.append(Batch(topic, partition, self._builder(codec)))
                batches[-1].append(0, now_ms, key, value, listed)
            batches[-1].numbers.append(number)
        return batches

    def _builder(self, codec: int) -> DefaultRecordBatchBuilder:
        return DefaultRecordBatchBuilder(2, codec, self._transactional, -1, -1, 0, BATCH_BYTES_MAX)

    def _close(self, batch: Batch) -> None:
        place = (batch.topic, batch.partition)
        sequence = self._sequences.get(place, 0)
        batch.close(*self._producer, sequence)
        self._sequences[place] = (sequence + len(batch.numbers)) & _SEQUENCE_MASK


def offsets(batches: Sequence[Batch], count: int) -> list[int]:
    """Return the offsets of the drafts, in their order."""
    found = [-1] * count
    for batch in batches:
        for place, number in enumerate(batch.numbers):
            found[number] = batch.offset + place
    return found
