"""A node that starts on a log on Kafka with many actors and a long tail."""

import restoring
from figures import Figure
from session import Session

from .server import server_of

TITLE = "Restore on Kafka"
BAR_S = 20
PROFILE = "profile of restore on Kafka"
WHAT = """
The same work as on the embedded log. The log is made once; each run starts a new node on it, whose housekeeping is held, too,
so that the tail stays as it is (a run adds a commit record a shard). What the broker sends is in the operating system's cache.
"""


def run(session: Session) -> list[Figure]:
    sizes = restoring.sizes(session)
    with server_of(session).log() as url:
        session.measure(restoring.tailed, url=url, **sizes)
        work = {"url": url, **sizes, "again": True}
        (results,) = session.repeat(lambda: session.measure(restoring.hms, **work))
        figures = restoring.figures(session, results, bar_s=BAR_S)
        if not all(figure.met for figure in figures):  # now: the log is deleted with the end of this
            session.kept[PROFILE] = session.profile(restoring.hms, **work)
    return figures


def profile(session: Session) -> str:
    return str(session.kept[PROFILE])
