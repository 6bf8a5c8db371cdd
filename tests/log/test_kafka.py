"""The log on Kafka passes the conformance suite, on a real broker."""

from pathlib import Path

import pytest

from hms.core.log import Log
from hms.core.log.kafka.address import KafkaAddress
from hms.core.log.kafka.creation import create, look
from hms.core.log.kafka.log import KafkaLog
from hms.core.testing.log_conformance import LogConformance

from ..kafka.handles import PATIENT


class TestKafkaLog(LogConformance):
    @pytest.fixture(autouse=True)
    def _on_a_broker(self, kafka_url: str) -> None:
        self.url = kafka_url
        self.made = False

    async def connect(self, place: Path, node: str) -> Log:
        del place, node
        if not self.made:
            address = KafkaAddress.parse(self.url)
            await create(address, await look(address))
            self.made = True
        return await KafkaLog.open(self.url, times=PATIENT)

    async def silence(self, log: Log) -> None:
        assert isinstance(log, KafkaLog)
        log._memberships[0]._oracle.silent = True
