"""The simulated log passes the conformance suite, without faults and with those that promise nothing less."""

from pathlib import Path
from random import Random

from hms.core.log import Log
from hms.core.log.simulated import Faults, SimulatedBroker, SimulatedLog
from hms.core.testing.log_conformance import LogConformance


class TestSimulatedLog(LogConformance):
    faults = Faults()

    async def connect(self, place: Path, node: str) -> Log:
        brokers: dict[Path, SimulatedBroker] = self.__dict__.setdefault("brokers", {})
        if place not in brokers:
            random = Random(7)  # noqa: S311 faults, not secrets
            brokers[place] = SimulatedBroker(random=random, faults=self.faults, lease_ms=300)
        return brokers[place].connect(node)

    async def silence(self, log: Log) -> None:
        assert isinstance(log, SimulatedLog)
        log.broker.pause(log.node)


class TestSlowSimulatedLog(TestSimulatedLog):
    """Late markers, delays and short reads break no rule of the port."""

    faults = Faults(delay=0.3, delay_ms_max=3, marker_late=0.5, marker_late_ms_max=5, read_short=0.5)
