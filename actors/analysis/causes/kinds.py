"""What a metric says by its name: of the component itself, of the answers it gives, or of the work it gets."""

import re
from enum import Enum
from functools import lru_cache
from typing import Final


class Kind(Enum):
    """A metric's kind: a fault leaves its own trace in `RESOURCE`, and travels to callers in `ANSWER`."""

    RESOURCE = "resource"
    ANSWER = "answer"
    WORK = "work"
    OTHER = "other"


_LATE: Final = re.compile(r"latenc|durat|respon|elapsed|delay|rtt?$|p\d\d")
_GOOD: Final = re.compile(r"avail|success|uptime|apdex|ready|healthy|2xx|goodput")
_KINDS: Final = tuple(
    (kind, re.compile(words))
    for kind, words in (
        (Kind.RESOURCE, r"cpu|mem|rss|heap|disk|sock|thread|swap|throttl|loadavg"),
        (Kind.ANSWER, _LATE.pattern),
        (Kind.ANSWER, r"err|fail|fault|timeout|[45]xx|retr|loss|excep"),
        (Kind.ANSWER, _GOOD.pattern),
        (Kind.WORK, r"(?<!net)work|load|request|req|qps|rps|tps|throughput|call|invocation|count$|rate$|messages"),
        (Kind.RESOURCE, r"net|(^|[^a-z])io|fs[-_.]|rx|tx|byte|packet|conn|queue|pool|fd|gc|page|file|read|write"),
    )
)
"""The first that fits counts."""


@lru_cache(maxsize=10_000)
def kind_of(metric: str) -> Kind:
    """Return the kind of a metric by its name, `OTHER` where that says nothing."""
    name = metric.lower()
    return next((kind for kind, pattern in _KINDS if pattern.search(name)), Kind.OTHER)


class Answer(Enum):
    """What an answer may be instead of good."""

    LATE = "late"
    WRONG = "wrong"


@lru_cache(maxsize=10_000)
def answer_of(metric: str) -> Answer | None:
    """Return what a metric tells of the answers; None for one that tells nothing of them."""
    if kind_of(metric) is not Kind.ANSWER:
        return None
    return Answer.LATE if _LATE.search(metric.lower()) else Answer.WRONG


@lru_cache(maxsize=10_000)
def good_when_high(metric: str) -> bool:
    """Tell whether the metric falls when things get worse, as an availability does."""
    return _GOOD.search(metric.lower()) is not None
