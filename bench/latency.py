"""Asking at a steady rate, from another process."""

from asking import ask_steadily
from counter import app
from figures import Figure, percentile, under
from running import NodeProcess
from session import Measured, Session

from hms import connect

TITLE = "Latency"
RATE, SECONDS, WARM_S, ACTORS = 1_000, 20, 2, 1_000
WHAT = f"""
A node runs in a process of its own. Another process asks {RATE:,} times a second for {SECONDS} seconds ({WARM_S}
before that do not count), {ACTORS:,} actors in turn, in an open loop: each question has an instant at which it is
meant to be asked, however late the ones before are answered, and its latency counts from that instant to the answer,
so a stall is paid by every question that falls into it (no coordinated omission). Each question is a durable append,
a decision, a durable commit, and the answer read from the log: two fsyncs.
"""
assert app


async def asking(url: str, seconds: float, rate: int) -> Measured:
    count = int((WARM_S + seconds) * rate)
    async with connect(url, name="bench") as client:
        answers = await ask_steadily(client, rate, ACTORS, lambda asked: asked == count)
    assert not any(answer.failed_by for answer in answers), next(one for one in answers if one.failed_by)
    late_ms = [answer.late_ms for answer in answers[WARM_S * rate :]]
    return {"p50": percentile(late_ms, 50), "p99": percentile(late_ms, 99), "max": max(late_ms)}


def once(session: Session, url: str) -> Measured:
    """Ask for one run's time, on a new log."""
    node = NodeProcess(url, "counter:app")
    seconds = _seconds(session)
    try:
        node.wait(0)
        before = node.cpu_s()
        result = session.measure(asking, url=url, seconds=seconds, rate=RATE)
        return result | {"cpu": (node.cpu_s() - before) / (WARM_S + seconds) * 100}
    finally:
        node.stop()


def node_profile(session: Session, url: str) -> str:
    """Where the node's time goes while it is asked."""
    node = NodeProcess(url, "counter:app", profiled=True)
    node.wait(0)
    session.measure(asking, url=url, seconds=_seconds(session), rate=RATE)
    return node.profile()


def figures(results: list[Measured], *, p50_ms: float, p99_ms: float) -> list[Figure]:
    """The rows; the bars are the log's."""
    return [
        Figure(f"`ask` at {RATE:,}/s from another process, p50", "ms", [one["p50"] for one in results], under(p50_ms)),
        Figure("the same, p99", "ms", [one["p99"] for one in results], under(p99_ms)),
        Figure("the same, the slowest", "ms", [one["max"] for one in results]),
        Figure("CPU of the node meanwhile", "% of one core", [one["cpu"] for one in results]),
    ]


def _seconds(session: Session) -> float:
    return max(2, SECONDS * session.scale)


def run(session: Session) -> list[Figure]:
    (results,) = session.repeat(lambda: once(session, session.fresh("latency.db")))
    return figures(results, p50_ms=5, p99_ms=15)


def profile(session: Session) -> str:
    return node_profile(session, session.fresh("latency.db"))
