"""A log holds one fleet, which is at home on one host; each host has its name: who was first is a setting of the log."""

import json
import uuid
from typing import NamedTuple

from ...core.errors import CallerError
from ...core.log.port import Log

SETTING = "fleet"
HOST_SETTING = "host/"


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
            "run it there, or be another host of it here (hms agent --host NAME), or use another log (--log URL)"
        )


async def claim_name(log: Log, name: str, id_: str) -> None:
    """Give the host with that lasting id a name in the fleet, for ever.

    Two machines of one name would each run what is placed there. Raises `LogBoundElsewhere`, `LogUnreachable`.
    """
    while (owner := await log.get_setting(HOST_SETTING + name)) is None:
        await log.put_setting(HOST_SETTING + name, id_, expected=None)
    if owner != id_:
        raise LogBoundElsewhere(
            f"{log.url}: the host {name!r} is {owner}, this one is {id_}; give this one another name (--host NAME). "
            "A machine that takes its place has to bring its state folder's `host-id`"
        )


async def name_of_home(log: Log, id_: str) -> str:
    """Return the name under which this host is the fleet's home, nothing if it is not, or has none."""
    bound = await binding_of(log)
    if bound is None or await log.get_setting(HOST_SETTING + bound.host) != id_:
        return ""
    return bound.host
