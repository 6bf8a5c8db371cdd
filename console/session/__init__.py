"""What `hms up`, `hms node` and `hms demo` share: apps by name, a supervised fleet in this process, what is told of it."""

from .apps import load_apps
from .board import Board
from .news import Line, follow_events, line_of
from .running import FleetRun

__all__ = ["Board", "FleetRun", "Line", "follow_events", "line_of", "load_apps"]
