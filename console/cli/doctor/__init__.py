"""`hms doctor`: look for what is wrong, and say what to do."""

from typing import Final

from ....core.errors import HmsError, LogUnreachable
from ..exit_codes import Exit
from ..freshness import freshness_line
from ..living import agents_of
from ..log_address import check_there, log_file
from ..opened import quiet, reading
from ..options import DEFAULTS, Options
from ..show import Columns, say, show_list
from .archive import archive_checks
from .check import Check
from .fleet import fleet_checks
from .log import log_checks
from .machine import machine_checks

COLUMNS: Final[Columns] = {"": "outcome", "CHECK": "name", "SEEN": "seen", "TO DO": "todo"}

NO_LOG: Final = frozenset({"kafka", "topics", "transactions"})
"""Checks of a cluster without which there is no log to look at: opening it would only say the same, later and worse."""


async def doctor(*, options: Options = DEFAULTS) -> int:
    """Look for what is wrong with this machine, the log and the fleet, and say what to do.

    Exit code 1 if anything failed, 10 if all works but the fleet is not well, else 0. JSON: an array of `name, outcome,
    seen, todo`; outcomes are ok, warn, fail (HMS cannot work) and ill (what it looks after is not well).
    """
    checks = [*machine_checks(options.url), *await _checks_of_log(options.url)]
    show_list([check._asdict() for check in checks], options.form, COLUMNS)
    return verdict(checks)


def verdict(checks: list[Check]) -> int:
    """Return the exit code that some checks lead to."""
    outcomes = {check.outcome for check in checks}
    if "fail" in outcomes:
        return Exit.FAILED
    return Exit.UNHEALTHY if "ill" in outcomes else Exit.OK


def _missing(url: str, seen: str) -> Check:
    """Judge a log that is not there: it is no failure, unless somebody works on it."""
    pids = ", ".join(map(str, agents_of(url)))
    if pids:
        gone = f"the log of a running agent is gone (process {pids}): {log_file(url)}"
        return Check("log", "fail", gone, "put the file back, or stop it")
    return Check("log", "warn", seen, "nothing, if no fleet was started here yet")


async def _checks_of_log(url: str) -> list[Check]:
    try:
        check_there(url)
    except LogUnreachable as error:
        return [_missing(url, str(error))]
    quiet()
    checks: list[Check] = []
    if url.startswith("kafka:"):
        from .kafka import kafka_checks  # noqa: PLC0415 - the embedded log does not pay for aiokafka

        checks += await kafka_checks(url)
        if any(check.outcome == "fail" and check.name in NO_LOG for check in checks):
            return checks
    try:
        async with reading(url) as log:
            checks += await log_checks(log)
            checks += await archive_checks(log)
            if url.startswith("kafka:"):
                from .kafka.strays import stray_check  # noqa: PLC0415 - as above

                checks.append(await stray_check(log))
            checks += await fleet_checks(log)
            say(await freshness_line(log))
    except HmsError as error:
        checks.append(
            Check("log", "fail", str(error), "see `hms log verify`; docs/operations/backup.md restores a backup")
        )
    return checks
