"""Logs as commands open them: to look at, or to ask somebody who runs."""

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from ...core.errors import LogUnreachable
from ...core.log.open import open_log
from ...core.log.port import Log
from .freshness import freshness
from .log_address import check_there

if TYPE_CHECKING:
    from ...core.client import Client


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[Log]:
    """Open a log that exists; raises `LogUnreachable` for one that does not."""
    quiet()
    check_there(url)
    log = await open_log(url)
    try:
        yield log
    finally:
        await log.close()


@asynccontextmanager
async def asking(url: str) -> AsyncIterator["Client"]:
    """Connect to a log on which a node runs; raises `LogUnreachable` at once where none does: nobody would answer."""
    from ...core.client import connect  # noqa: PLC0415 - those who only look do not pay for it

    async with reading(url) as log:
        if not (await freshness(log)).owned:
            raise LogUnreachable(_nobody(url))
        async with connect(log) as client:
            yield client


def _nobody(url: str) -> str:
    from .living import agents_of, lease_lost  # noqa: PLC0415 - it looks at processes, which is not often needed

    if pids := agents_of(url):
        return f"{lease_lost(pids)} see `hms doctor`"
    return f"no node runs on {url}, so nothing can change; start one with `hms up` or `hms node`"


def quiet() -> None:
    """Let the log messages of what is below go to stderr, warnings and worse, as plain lines.

    A traceback comes without the values of variables: they may hold what is secret, and are pages long. The Kafka client is
    silent: what it warns of it tries again, and what does not help in time is an error of ours, with what to do.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.dev.set_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(
                colors=False, pad_event_to=0, pad_level=False, exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
