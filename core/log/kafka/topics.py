"""The log's topics as they must be on a cluster: who makes them, who checks them and who reads them ask here."""

from typing import Final

from ..port import CO_PARTITIONED, COMPACTED, RECORD_BYTES_MAX, TOPICS
from .address import KafkaAddress
from .deviation import Wanted

SETTINGS: Final = "hms.settings"
"""What the log says about itself, by name; not one of the port's topics."""
ALL: Final = (*TOPICS, SETTINGS)
PARTITIONS_SETTING: Final = "partitions"
"""The setting that records how many partitions each co-partitioned topic was made with."""

FRAME_BYTES: Final = 48_576
"""What is round the largest record in its batch."""
MESSAGE_BYTES_MAX: Final = RECORD_BYTES_MAX + FRAME_BYTES
COMPACTED_SEGMENT_BYTES: Final = 64 << 20
"""The newest segment is never compacted: with Kafka's gigabyte a small log would keep every checkpoint."""
SETTINGS_SEGMENT_BYTES: Final = 1 << 20
"""Whoever opens the log reads the settings, and each node says every few seconds that it is there."""

_COMMON: Final = {
    "message.timestamp.type": "LogAppendTime",
    "max.message.bytes": str(MESSAGE_BYTES_MAX),
    "compression.type": "producer",
    "unclean.leader.election.enable": "false",
}
_KEPT: Final = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
_COMPACTED: Final = {"cleanup.policy": "compact", "segment.bytes": str(COMPACTED_SEGMENT_BYTES)}


def wanted_topics(address: KafkaAddress, partitions: int, replication: int) -> dict[str, Wanted]:
    """Return every topic of a log with that many partitions (of the co-partitioned ones) and copies of each."""
    counts = {topic: partitions if topic in CO_PARTITIONED else 1 for topic in ALL}
    return {address.topic(topic): Wanted(count, replication, _settings(topic)) for topic, count in counts.items()}


def in_sync(replication: int) -> dict[str, str]:
    """Return how many copies must have what is acknowledged: with three, two, so that one may be lost at any time."""
    return {"min.insync.replicas": "2" if replication > 2 else "1"}  # noqa: PLR2004


def _settings(topic: str) -> dict[str, str]:
    if topic == SETTINGS:
        return {**_COMMON, **_COMPACTED, "segment.bytes": str(SETTINGS_SEGMENT_BYTES)}
    return {**_COMMON, **(_COMPACTED if topic in COMPACTED else _KEPT)}
