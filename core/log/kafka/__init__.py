"""The log on Kafka: production, many nodes, any Kafka tool."""

from .address import KafkaAddress
from .log import KafkaLog

__all__ = ["KafkaAddress", "KafkaLog"]
