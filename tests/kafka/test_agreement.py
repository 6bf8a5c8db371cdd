"""The state machine of `tests/log` drives the embedded log, the simulated one and a real Kafka."""

import uuid

import pytest
from hypothesis import HealthCheck, settings

from hms.core.log.kafka import KafkaLog

from ..log.test_agreement import PARTITIONS, Agreement, Backend
from .fixtures import Server, delete
from .logs import make_log


@pytest.fixture(scope="module", autouse=True)
def _on_a_broker(kafka: Server) -> None:
    ThreeWayAgreement.bootstrap = kafka.bootstrap


class ThreeWayAgreement(Agreement):
    cleans = False  # brokers compact when they like
    bootstrap: str

    async def open_all(self) -> list[Backend]:
        self.prefix = f"t{uuid.uuid4().hex[:12]}"
        url = f"kafka://{self.bootstrap}/{self.prefix}"
        await make_log(url, PARTITIONS)
        return [*await super().open_all(), Backend(await KafkaLog.open(url))]

    def teardown(self) -> None:
        super().teardown()
        delete(self.bootstrap, self.prefix)


pytestmark = pytest.mark.timeout(400)  # every example makes a log

ThreeWayAgreement.TestCase.settings = settings(
    max_examples=8, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestThreeWayAgreement = ThreeWayAgreement.TestCase
