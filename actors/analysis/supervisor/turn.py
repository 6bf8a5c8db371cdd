"""One decision of the analysis supervisor in the making."""

from typing import Any

from ....core.behaviour import Context
from ....schemas.record import Message
from ... import turn
from ...well_known import ANALYSIS_TOPIC, META_SUPERVISOR
from .fold import AnalysisEvent, evolve
from .state import AnalysisState


class Turn(turn.Turn[AnalysisState, AnalysisEvent]):
    """What it reports goes on one lane, so that a report never overtakes another."""

    def __init__(self, state: AnalysisState, context: Context) -> None:
        super().__init__(state, context, evolve)

    def report(self, message: Message[Any]) -> None:
        """Send a message to the meta supervisor."""
        self.post(META_SUPERVISOR, message, "high")

    def publish(self, message: Message[Any]) -> None:
        """Send a message to who subscribed to `topic/analysis`."""
        self.post(ANALYSIS_TOPIC, message, "normal")
