"""The simulated log: in memory, in virtual time, with seeded faults; as hard on its users as Kafka is."""

from .broker import SimulatedBroker
from .faults import FAULT_NAMES, Faults
from .log import SimulatedLog

__all__ = ["FAULT_NAMES", "Faults", "SimulatedBroker", "SimulatedLog"]
