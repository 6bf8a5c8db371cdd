"""`hms replay verify`: decide everything again, and hold it against what was recorded."""

import time
from typing import Annotated, Any, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from ...core.runtime.divergence import Divergence
from ...replay.verify.run import Subject, Verification, verify
from .archive_options import ArchiveOption
from .exit_codes import Exit
from .instants import instant_us
from .log_address import check_there
from .opened import quiet
from .options import DEFAULTS, Options
from .plain_value import instant_of_us
from .replay_options import AppsOption, app_names, check_apps
from .show import Columns, say, show_list

COLUMNS: Final[Columns] = {
    "AT": "at",
    "SHARD": "shard",
    "COMMIT": "sequence",
    "ACTOR": "actor",
    "MESSAGE": "message_type",
    "FIELD": "field",
    "EXPECTED": "expected",
    "GOT": "got",
}
PROCESSES_MAX: Final = 64


async def verify_replay(
    *,
    since: Annotated[
        str | None, Parameter(allow_leading_hyphen=True, help="Take commits before this instant as recorded")
    ] = None,
    shard: Annotated[tuple[int, ...], Parameter(help="Only this one; may be repeated")] = (),
    processes: Annotated[int, Parameter(validator=Number(gte=1, lte=PROCESSES_MAX), help="How many at once")] = 2,
    app: AppsOption = (),
    archive: ArchiveOption = None,
    options: Options = DEFAULTS,
) -> int:
    """Decide every recorded input again, in its recorded order, and compare what comes out byte for byte.

    In lock-step: each input meets the state that the recorded events make, so one divergence does not drag others along.
    Events are encoded with the schema that they were recorded with. Shown is the first divergence of each actor; exit 9
    where the code that recorded it is the code that decides now (promise 5), 1 where other code did.

    JSON: an array of `at, shard, sequence, offset, actor, lane, position, message_id, message_type, field, expected, got,
    code_version, same_code`; `offset` is the commit record's in hms.events. Writes nothing.
    """
    quiet()
    check_there(options.url)
    await check_apps(options.url, app)
    since_us = 0 if since is None else instant_us(since, time.time_ns() // 1_000)
    subject = Subject(options.url, archive, app_names(app), since_us)
    found = await verify(subject, shard or None, processes=processes)
    show_list([divergence_item(one, found.code_version) for one in found.first()], options.form, COLUMNS, cut_last=True)
    say(_sentence(found))
    return exit_code(found)


def exit_code(found: Verification) -> Exit:
    """Return what a verification means to a shell."""
    if not found.divergence_count:
        return Exit.OK
    return Exit.DIVERGED if found.breaks_promise else Exit.FAILED


def divergence_item(one: Divergence, code_version: str) -> dict[str, Any]:
    """Return a divergence as JSON has it."""
    fields = one._asdict()
    return {
        "at": instant_of_us(fields.pop("now_us")),
        **fields,
        "same_code": one.code_version == code_version,
    }


def _sentence(found: Verification) -> str:
    commits = sum(one.commits for one in found.shards)
    inputs = sum(one.inputs for one in found.shards)
    checked = sum(one.sends_checked for one in found.shards) + found.settled.checked
    unchecked = sum(one.sends_unchecked for one in found.shards) + found.settled.unchecked
    result = f"{found.divergence_count:,} came out otherwise" if found.divergence_count else "all came out as recorded"
    if not inputs and not found.divergence_count:
        return f"{commits:,} commits hold no input: there was nothing to decide"
    gone = f"; of {unchecked:,} what they sent can no longer be told" if unchecked else ""
    return (
        f"{inputs:,} inputs in {commits:,} commits decided again: {result}; sends of {checked:,} commits compared{gone}"
    )
