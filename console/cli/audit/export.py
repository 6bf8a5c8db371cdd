"""`hms audit export`: the trail as JSON lines."""

import time
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from ..archive_options import ArchiveOption
from ..instants import instant_us
from ..options import DEFAULTS, Options
from ..show import write_line
from .places import history_of

Ago: TypeAlias = Annotated[
    str | None, Parameter(allow_leading_hyphen=True, help="By the decision's time: 2026-03-01T03:12:00Z, or -15m")
]


async def export(
    *, since: Ago = None, until: Ago = None, archive: ArchiveOption = None, options: Options = DEFAULTS
) -> None:
    """Print, for everything that was asked of an actor, a line of JSON: what, when, where, who, and the outcome.

    `what` is the message's type, or `timer`; `when` the instant of the decision; `where` an object `actor, shard, commit,
    lane, position`; `who` the sender; `outcome` the verdict (docs/reference/verdicts.md); `events` what was decided.
    """
    from ....replay.audit.export import export as exported  # noqa: PLC0415

    now_us = time.time_ns() // 1_000
    since_us = 0 if since is None else instant_us(since, now_us)
    until_us = None if until is None else instant_us(until, now_us)
    async with history_of(options.url, archive) as history:
        async for item in exported(history, since_us=since_us, until_us=until_us):
            write_line(item)
