"""The analysis supervisor: it looks at what was measured, tells what is unusual, and answers for it (core components, 2.2)."""

from .behaviour import analysis_supervisor

__all__ = ["analysis_supervisor"]
