"""The seeded simulation: worlds of nodes and clients on a log that fails, and the promises held against what they leave."""

from .campaign import Campaign, campaign
from .plan import ALL_FAULTS, plan_of
from .run import Verdict, simulate

__all__ = ["ALL_FAULTS", "Campaign", "Verdict", "campaign", "plan_of", "simulate"]
