"""The peer: `eventsourcing` on SQLite, as its documentation says to use it, in its fastest configuration.

WAL is what it switches on itself; `synchronous=FULL` is SQLite's default, which it leaves (both are checked). Its
aggregate cache is on, without fast-forwarding and without copying: right for a process that is alone on its database.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate

FULL = 2


class Counter(Aggregate):
    """The counter of `counter.py`."""

    class Created(Aggregate.Created):
        """The first event of every aggregate."""

    class Added(Aggregate.Event):
        """What a command leads to."""

        amount: int

        def apply(self, aggregate: Any) -> None:
            aggregate.count += 1
            aggregate.total += self.amount

    def __init__(self) -> None:
        self.count = 0
        self.total = 0

    def add(self, amount: int) -> int:
        self.trigger_event(self.Added, amount=amount)
        return self.count


def application(path: str, *, cached: int = 0) -> Application[UUID]:
    """Open the application; `cached` aggregates stay in memory (0: none)."""
    settings = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": path}
    if cached:
        settings |= {
            "AGGREGATE_CACHE_MAXSIZE": str(cached),
            "AGGREGATE_CACHE_FASTFORWARD": "n",
            "DEEPCOPY_FROM_AGGREGATE_CACHE": "n",
        }
    app: Application[UUID] = Application(env=settings)
    _check_durable(app)
    return app


def _check_durable(app: Application[UUID]) -> None:
    store: Any = app.factory
    with store.datastore.get_connection(commit=False) as connection:
        cursor = connection.cursor()
        for pragma, expected in (("synchronous", FULL), ("journal_mode", "wal")):
            cursor.execute(f"PRAGMA {pragma}")
            found = cursor.fetchone()[0]
            assert found == expected, f"expected {pragma} {expected}, got {found}"


def counters(app: Application[UUID], count: int) -> list[UUID]:
    """Make so many counters."""
    made = [Counter() for _ in range(count)]
    for start in range(0, count, 500):
        app.save(*made[start : start + 500])
    return [one.id for one in made]
