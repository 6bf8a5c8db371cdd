"""`hms replay shadow`: what other code would have decided; made for a release gate in CI."""

import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from ...core.runtime.divergence import Divergence
from ...replay.shadow.candidate import code_of
from ...replay.shadow.process import CandidateProcess
from ...replay.shadow.run import Order, Shadow
from ...replay.shadow.run import shadow as run_shadow
from ...replay.shadow.sandbox import SandboxUnavailable
from ...replay.shadow.table import DifferenceTable
from .archive_options import ArchiveOption
from .exit_codes import Exit, Stop
from .instants import instant_us
from .options import DEFAULTS, Options
from .plain_value import instant_of_us
from .replay_options import HMS_APP, AppsOption, history_of
from .show import Columns, say, show_list, show_one

COLUMNS: Final[Columns] = {
    "COUNT": "count",
    "BEHAVIOUR": "behaviour",
    "MESSAGE": "message_type",
    "FIELD": "field",
    "FIRST": "first_at",
    "ACTOR": "actor",
    "EXPECTED": "expected",
    "GOT": "got",
}
KINDS_MAX: Final = 1_000


async def shadow(
    *,
    code: Annotated[Path | None, Parameter(help="Folder that the candidate's modules are imported from")] = None,
    wheel: Annotated[Path | None, Parameter(help="The candidate as a wheel")] = None,
    free_run: Annotated[
        bool, Parameter(help="Let states go on from the candidate's events, not the recorded ones")
    ] = False,
    since: Annotated[
        str | None, Parameter(allow_leading_hyphen=True, help="Take commits before this instant as recorded")
    ] = None,
    shard: Annotated[tuple[int, ...], Parameter(help="Only this one; may be repeated")] = (),
    fail_above: Annotated[
        float, Parameter(validator=Number(gte=0, lte=100), help="Per cent of the inputs that may come out otherwise")
    ] = 0.0,
    table: Annotated[Path | None, Parameter(help="Write all differences to this file: *.parquet or *.jsonl")] = None,
    memory_mb: Annotated[
        int, Parameter(validator=Number(gte=256), help="So much memory the candidate may take")
    ] = 4_096,
    trusted: Annotated[bool, Parameter(help="Do not shut the candidate in; it may then do what you may")] = False,
    app: AppsOption = (),
    archive: ArchiveOption = None,
    options: Options = DEFAULTS,
) -> int:
    """Decide the recorded inputs by other code, in a process of its own, and show what would have come out otherwise.

    In lock-step, each input meets the state that the recorded events make. The candidate may compute and read files, and
    nothing else: no sockets, processes, signals or writes (a seccomp filter; Linux on x86_64 and aarch64). Shown is a line
    for each kind of difference, with the first of it; --table has all of them. Exit 9 where more than --fail-above per
    cent of the inputs come out otherwise.

    JSON: `passed, inputs, diverged, share, threshold, code_version, sends_checked, sends_unchecked, differences[]` of
    `count, behaviour, message_type, field, first_at, shard, sequence, actor, message_id, expected, got`. Writes nothing
    to the log.
    """
    if (code is None) == (wheel is None):
        raise Stop(Exit.USAGE, "expected --code FOLDER or --wheel FILE, one of them: whose code shall decide?")
    since_us = 0 if since is None else instant_us(since, time.time_ns() // 1_000)
    order = Order((HMS_APP, *dict.fromkeys(app)), shard or None, since_us, free_run)
    kinds = _Kinds()
    with ExitStack() as open_:
        paths = open_.enter_context(code_of(code, wheel))
        rows = open_.enter_context(DifferenceTable(table)) if table is not None else None

        def sink(divergence: Divergence) -> None:
            kinds.add(divergence)
            if rows is not None:
                rows.add(divergence)

        candidate = _candidate(paths, trusted=trusted, memory_bytes=memory_mb << 20)
        async with history_of(options.url, archive) as history, candidate:
            found = await run_shadow(history, candidate, order, sink)
    if not found.counts["inputs"]:
        raise _nothing_compared(options.url)
    passed = 100 * found.share <= fail_above
    _show(found, kinds, fail_above, options, passed=passed)
    return Exit.OK if passed else Exit.DIVERGED


def _nothing_compared(url: str) -> Stop:
    return Stop(
        Exit.FAILED,
        f"expected inputs to decide, got none: {url} holds none, or --since and --shard leave none; "
        "a gate that has compared nothing does not pass",
    )


def _candidate(paths: list[str], *, trusted: bool, memory_bytes: int) -> CandidateProcess:
    try:
        return CandidateProcess(paths, trusted=trusted, memory_bytes=memory_bytes)
    except SandboxUnavailable as error:
        raise Stop(
            Exit.FAILED,
            f"cannot shut the candidate in: {error}; run it on Linux, or say --trusted if you trust the code",
        ) from error


class _Kinds:
    """Counts differences by kind, keeping the first of each."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.firsts: dict[tuple[str, str, str], Divergence] = {}

    def add(self, one: Divergence) -> None:
        kind = (one.actor.partition("/")[0], one.message_type, one.field)
        if kind in self.firsts or len(self.firsts) < KINDS_MAX:
            self.counts[kind] += 1
            self.firsts.setdefault(kind, one)

    def items(self) -> list[dict[str, Any]]:
        return [self._item(kind, count) for kind, count in self.counts.most_common()]

    def _item(self, kind: tuple[str, str, str], count: int) -> dict[str, Any]:
        first = self.firsts[kind]
        names = ("shard", "sequence", "actor", "message_id", "expected", "got")
        return {
            "count": count,
            **dict(zip(("behaviour", "message_type", "field"), kind, strict=True)),
            "first_at": instant_of_us(first.now_us),
            **{name: getattr(first, name) for name in names},
        }


def _show(found: Shadow, kinds: _Kinds, threshold: float, options: Options, *, passed: bool) -> None:
    item: dict[str, Any] = {
        "passed": passed,
        "inputs": found.counts["inputs"],
        "diverged": found.diverged,
        "share": found.share,
        "threshold": threshold / 100,
        "code_version": found.code_version,
        "sends_checked": found.counts["sends_checked"],
        "sends_unchecked": found.counts["sends_unchecked"],
        "differences": kinds.items(),
    }
    if options.form == "text":
        show_list(item["differences"], "text", COLUMNS, cut_last=True)
    else:
        show_one(item, options.form)
    say(
        f"{item['inputs']:,} inputs: {found.diverged:,} come out otherwise ({100 * found.share:.3g} %, "
        f"{threshold:g} % may): {'passed' if passed else 'FAILED'}"
    )
