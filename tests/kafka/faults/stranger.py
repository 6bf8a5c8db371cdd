"""What writes to the lanes without HMS: a plain confluent-kafka producer, and bytes that no client library would send."""

import asyncio
import struct
from typing import Any

from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from confluent_kafka import Message as KafkaMessage
from confluent_kafka import Producer

from hms.core.log.kafka import KafkaAddress
from hms.core.log.kafka.cluster import Cluster
from hms.core.log.port import NORMAL
from hms.core.testing.simulation.cast import Append, behaviours, register
from hms.schemas import Envelope, headers_for

Written = list[tuple[str, int, int, str]]


class Stranger:
    """Writes to the normal lane of a log; `written` is what it wrote where, as the checks take it."""

    def __init__(self, url: str) -> None:
        self.address = KafkaAddress.parse(url)
        self.written: Written = []
        self._topic = self.address.topic(NORMAL)
        servers = ",".join(self.address.bootstrap)
        self._producer = Producer({"bootstrap.servers": servers, "message.max.bytes": 2_000_000, "log_level": 0})

    def write(
        self, kind: str, key: bytes | None, value: bytes | None, headers: Any = (), partition: int | None = None
    ) -> None:
        """Write one record; without a partition the library chooses it, as it does by default: by CRC32 of the key."""

        def told(error: object, message: KafkaMessage) -> None:
            assert error is None, f"{kind}: {error}"
            self.written.append((NORMAL, message.partition() or 0, message.offset() or 0, kind))

        where = {} if partition is None else {"partition": partition}
        self._producer.produce(self._topic, value, key, headers=list(headers), on_delivery=told, **where)

    async def flush(self) -> None:
        """Wait until everything is written."""
        left = await asyncio.to_thread(self._producer.flush, 30)
        assert left == 0, f"{left} records were not taken"

    async def write_header_that_is_no_text(self, key: bytes, value: bytes, partition: int) -> None:
        """Write a record with a header whose name is no UTF-8, as C and Go clients can and Python's cannot."""
        cluster = Cluster(self.address, (NORMAL,), 10)
        try:
            await cluster.find()
            batch = [(self._topic, [(partition, _with_wrong_name(key, value))])]
            answer = await cluster.ask(
                cluster.leader(NORMAL, partition), ProduceRequest(None, -1, 5_000, batch), "stranger"
            )
            _, code, offset, *_ = answer.topics[0][1][0]
            assert code == 0, f"the broker answered {code}"
            self.written.append((NORMAL, partition, offset, "header that is no text"))
        finally:
            await cluster.close()


def _with_wrong_name(key: bytes, value: bytes) -> bytes:
    """Return a batch of one record whose header's name is `\\xff\\xfe\\xfd`."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1_000_000)
    builder.append(0, 0, key, value, [("\x01\x02\x03", b"x")])
    data = bytearray(bytes(builder.build()).replace(b"\x01\x02\x03", b"\xff\xfe\xfd"))
    data[17:21] = struct.pack(">I", calc_crc32c(bytes(data[21:])))
    return bytes(data)


def message(number: int, to: str) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """Return key, value and headers of a message that is as it should be: an operation for a register."""
    contract = behaviours().contract
    record_type = contract.of(Append)
    id_ = f"stranger-{number}"
    address = register(to).id
    envelope = Envelope(id_, "client/stranger", address, record_type.name, 1_700_000_000_000_000, id_)
    value = record_type.encode(Append(operation=f"client/stranger:{number:03}"), envelope)
    return address.encode(), value, list(headers_for(envelope))
