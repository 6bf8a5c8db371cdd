"""`hms sql`: questions to the whole history, archive and log, in SQL; see `hms sql --list` for what can be asked."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import App, Parameter

from ..exit_codes import Exit, Stop
from ..show import say, show_list
from .options import DEFAULTS, SqlOptions

app = App(name="sql", help="Questions to the whole history in SQL; `--list` says what there is to ask.")

FileOption: TypeAlias = Annotated[
    Path | None, Parameter(name=("--file", "-f"), help="Take the query from a file; - is standard input")
]
ParamsOption: TypeAlias = Annotated[
    tuple[str, ...], Parameter(name="--param", allow_leading_hyphen=True, help="NAME=VALUE; may be repeated")
]
FollowOption: TypeAlias = Annotated[
    bool, Parameter(help="Go on: whenever the log grows, the rows that were not there before")
]


@app.default
def sql(
    query: str | None = None,
    /,
    *,
    file: FileOption = None,
    param: ParamsOption = (),
    follow: FollowOption = False,
    list_: Annotated[bool, Parameter(name="--list", help="List the views and the named queries")] = False,
    options: SqlOptions = DEFAULTS,
) -> int:
    """Ask one SELECT; without a query, on a terminal, open a shell with completion and history.

    A view per record type (`component_exited`, `bank.deposited`), and `events`, `messages`, `incidents`, `restarts`,
    `task_transitions`, `metric_samples`: over archive and log, as of one moment, which is said on stderr. Only reading is
    possible, within --memory-mb and --timeout-ms. -o csv and -o parquet go to standard output as the others do.

    JSON: an array of objects, one a row; jsonl: one a line; instants are ISO 8601 in UTC, bytes base64.
    """
    from .asking import ask, listed  # noqa: PLC0415 - it imports the readers

    if list_:
        show_list(*listed(options))
        return Exit.OK
    text = _text(query, file)
    if text is None:
        from .shell import shell  # noqa: PLC0415

        return shell(options)
    return asyncio.run(ask(text, param, options, follow=follow))


@app.command
def run(name: str, /, *, param: ParamsOption = (), follow: FollowOption = False, options: SqlOptions = DEFAULTS) -> int:
    """Ask a named query, one of `hms sql --list` or a file of one's own that ends with .sql.

    Its first lines say what it takes: `-- param since instant -7d`; `--param since=-30d` gives another value.
    """
    from .asking import ask_named  # noqa: PLC0415

    return asyncio.run(ask_named(name, param, options, follow=follow))


def _text(query: str | None, file: Path | None) -> str | None:
    """Return the query, from wherever it comes; None for a shell."""
    if query is not None and file is not None:
        raise Stop(Exit.USAGE, "expected a query or -f FILE, got both")
    try:
        if file is not None and str(file) != "-":
            return file.read_text(encoding="utf-8")
        if query is None and (file is not None or not sys.stdin.isatty()):
            return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise Stop(Exit.USAGE, f"expected SQL as UTF-8 text, got {error.reason} at byte {error.start}") from None
    if query is None:
        say("hms: .help says what can be asked; Ctrl-D ends")
    return query
