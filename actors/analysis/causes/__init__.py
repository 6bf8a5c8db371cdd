"""Which component is most likely at the root of an incident, and why."""

from .graph import CallGraph
from .ranking import Cause, rank_causes
from .suspects import Metrics, Series

__all__ = ["CallGraph", "Cause", "Metrics", "Series", "rank_causes"]
