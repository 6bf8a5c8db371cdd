"""The runtime supervisor: decides about ill components and runs recovery tasks (core components, section 2.4)."""

from .behaviour import runtime_supervisor

__all__ = ["runtime_supervisor"]
