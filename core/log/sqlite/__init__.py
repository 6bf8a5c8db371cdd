"""The embedded log: one SQLite file in WAL mode, shared by the processes of one machine, nothing to install."""

from .log import SqliteLog

__all__ = ["SqliteLog"]
