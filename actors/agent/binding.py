"""A log holds one fleet, and a fleet lives on one host: who was first is a setting of the log."""

import json
import uuid
from typing import NamedTuple

from ...core.errors import CallerError
from ...core.log.port import Log

SETTING = "fleet"


class LogBoundElsewhere(CallerError):
    """The log belongs to another fleet or host."""


class Binding(NamedTuple):
    """What a log is bound to; `log_id` was drawn then, and tells this log from another one of the same URL."""

    fleet: str
    host: str
    log_id: str


async def binding_of(log: Log) -> Binding | None:
    """Return what the log is bound to, None if to nothing yet."""
    stored = await log.get_setting(SETTING)
    return None if stored is None else Binding(**json.loads(stored))


async def bind(log: Log, fleet: str, host: str) -> Binding:
    """Bind the log to a fleet on a host, for ever; return the binding.

    Raises:
        LogBoundElsewhere: It is bound to another fleet, or to another host.
        LogUnreachable: The log did not answer.

    """
    while (bound := await binding_of(log)) is None:
        drawn = Binding(fleet, host, uuid.uuid4().hex)
        await log.put_setting(SETTING, json.dumps(drawn._asdict()), expected=None)
    check(bound, log.url, fleet, host)
    return bound


def check(bound: Binding, url: str, fleet: str, host: str) -> None:
    """Raise `LogBoundElsewhere` unless the binding is for this fleet and host."""
    if bound.fleet != fleet:
        raise LogBoundElsewhere(
            f"{url} holds the fleet {bound.fleet!r}, expected {fleet!r}; "
            f"use the file of {bound.fleet!r}, or another log (--log URL)"
        )
    if bound.host != host:
        raise LogBoundElsewhere(
            f"{url}: fleet {fleet!r} is bound to the host {bound.host}, this one is {host}; "
            "run it there, or use another log here (--log URL)"
        )
