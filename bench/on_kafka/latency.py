"""Asking at a steady rate, from another process, on Kafka."""

import latency
from figures import Figure
from session import Measured, Session

from .server import Server, server_of

TITLE = "Latency on Kafka"
WHAT = """
The same work as on the embedded log, on a new log on Kafka each run: a question is a durable append from the asking
process, a transaction of the shard's (its event, answer and commit record), and the answer read from the outbox, committed.
One run before the measured ones is for the broker to be compiled by its JVM, which takes half a core of the two meanwhile.
"""


def _once(session: Session, server: Server) -> Measured:
    with server.log() as url:
        return latency.once(session, url)


def run(session: Session) -> list[Figure]:
    server = server_of(session)
    _once(session, server)
    (results,) = session.repeat(lambda: _once(session, server))
    return latency.figures(results, p50_ms=15, p99_ms=60)


def profile(session: Session) -> str:
    with server_of(session).log() as url:
        return latency.node_profile(session, url)
