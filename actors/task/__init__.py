"""A task's own record: the actor `task/ID` keeps what a caller may ask for, long after the queue has forgotten it."""

from .behaviour import task
from .content import CanonicalTask, canonical_task
from .document import parse_task

__all__ = ["CanonicalTask", "canonical_task", "parse_task", "task"]
