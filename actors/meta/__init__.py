"""The meta supervisor: the registry of supervisors and the queue of tasks (core components, sections 2.1, 3.2, 3.3)."""

from .behaviour import meta_supervisor

__all__ = ["meta_supervisor"]
