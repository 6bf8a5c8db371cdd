"""Where series are heading, and where their level changed."""

from .change_points import Change, change_points
from .samples import Samples
from .trends import Season, Trend, Trends

__all__ = ["Change", "Samples", "Season", "Trend", "Trends", "change_points"]
