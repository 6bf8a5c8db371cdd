"""aiokafka's client, but asking for a topic never makes it.

Where brokers create topics by themselves, naming a missing one in a question is enough: a log would come into being by
looking for it, and a deleted topic would be back, empty and with the wrong settings, before anybody hears of it.
"""

import random
from collections.abc import Callable, Iterable
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.protocol.metadata import MetadataRequest

from .failures import FAILURES


class Client(AIOKafkaClient):  # type: ignore[misc] # it has no types
    """Connections to the brokers of a cluster, and its metadata."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.on_lost: set[Callable[[], None]] = set()
        """Called when a connection broke: the broker may have ended."""

    def _on_connection_closed(self, conn: AIOKafkaConnection, reason: CloseReason | None) -> None:
        super()._on_connection_closed(conn, reason)
        if reason in (CloseReason.CONNECTION_BROKEN, CloseReason.CONNECTION_TIMEOUT):
            for call in [*self.on_lost]:
                call()

    async def _metadata_update(self, cluster_metadata: ClusterMetadata, topics: Iterable[str]) -> bool:
        brokers = [broker.nodeId for broker in self.cluster.brokers()]
        if not topics or not brokers:  # all topics, or the first connection alone: nothing is named
            return bool(await super()._metadata_update(cluster_metadata, topics))
        request = MetadataRequest(list(topics), allow_auto_topic_creation=False)
        for broker in random.sample(brokers, len(brokers)):
            try:
                metadata = await self.send(broker, request)
            except FAILURES:
                continue
            if metadata.brokers:
                cluster_metadata.update_metadata(metadata)
                return True
        cluster_metadata.failed_update(None)
        return False
