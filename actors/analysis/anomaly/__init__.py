"""How unusual each sample of a series is, from its past alone; live and in retrospect the same, bit for bit."""

from .bank import Bank
from .retrospect import Scored, score_series

__all__ = ["Bank", "Scored", "score_series"]
