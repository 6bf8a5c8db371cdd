"""The interactive shell of `hms sql`: a statement ends with `;`, a line that begins with a dot is for the shell itself."""

import asyncio
import os
import shlex
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from sqlite3 import complete_statement
from typing import Any, Final, get_args

from ....core.private_folder import make_private
from ....replay.sql.catalog import Catalog
from ....replay.sql.composed import COMPOSED
from ....replay.sql.errors import QueryRefused, QueryStopped
from ....replay.sql.named_query import named, shipped
from ....replay.sql.session import Session
from ....replay.sql.views import columns_of
from ..exit_codes import Exit, Stop, explained
from ..show import say, write
from .asking import ENTIRE, opened, parameters, show
from .asking import iso as iso_of
from .options import SqlForm, SqlOptions

HISTORY_LINES: Final = 10_000
HELP: Final = """SELECT ...;                 ask; the statement may take several lines, Ctrl-C ends a query and keeps the shell
.views [WORD]               the views whose name holds a word
.describe VIEW              its columns
.queries                    the named queries
.run NAME [PARAM=VALUE ...] ask one of them
.form text|json|jsonl|csv   how answers come
.quit                       end, as Ctrl-D does"""
KEYWORDS: Final = (
    *("SELECT", "FROM", "WHERE", "GROUP", "BY", "ORDER", "LIMIT", "HAVING", "JOIN", "LEFT", "USING"),
    *("ON", "AS", "AND", "OR", "NOT", "IN", "IS", "NULL", "LIKE", "BETWEEN", "CASE"),
    *("WHEN", "THEN", "ELSE", "END", "DISTINCT", "COUNT", "SUM", "AVG", "MIN", "MAX", "WITH"),
    *("UNION", "ALL", "FILTER", "OVER", "PARTITION", "INTERVAL", "DESC", "ASC", "DESCRIBE", "SUMMARIZE"),
)


class _Ended(Exception):
    """The user has had enough."""


def shell(options: SqlOptions) -> int:
    """Read, ask, show, until the end of the input."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        session = runner.run(stack.enter_async_context(opened(options)))
        try:
            Shell(session, options, runner.run).run()
        finally:
            runner.run(stack.aclose())
    return Exit.OK


class Shell:
    """One sitting."""

    def __init__(self, session: Session, options: SqlOptions, run: Callable[[Any], Any]) -> None:
        self._session = session
        self._options = options
        self._await = run
        self._statement = ""

    def run(self) -> None:
        """Go on until the end."""
        history = _remember(Completion(lambda: self._session.catalog))
        try:
            while True:
                try:
                    self.take(input("...> " if self._statement else "hms> "))
                except KeyboardInterrupt:
                    self._statement = ""
                    write("")
        except (EOFError, _Ended):
            write("")
        finally:
            history()

    def take(self, line: str) -> None:
        """Take one line; whatever is wrong with it is said, and the shell goes on."""
        try:
            if not self._statement and line.startswith("."):
                self._command(*_words(line))
                return
            self._statement = f"{self._statement}\n{line}".strip()
            if complete_statement(self._statement):
                statement, self._statement = self._statement, ""
                self._ask(statement, {})
        except (QueryRefused, QueryStopped, Stop) as error:
            say(f"hms: {error}")
        except OSError as error:
            say(f"hms: {explained(error)[1]}")

    def _ask(self, sql: str, values: dict[str, Any]) -> None:
        try:
            self._await(show(self._session, sql, values, self._options))
        except KeyboardInterrupt:
            say("hms: the query was ended")

    def _command(self, name: str, *words: str) -> None:
        match name, words:
            case ((".quit" | ".exit"), ()):
                raise _Ended
            case ".describe", (view,):
                self._ask(f"DESCRIBE {view}", {})
            case ".run", (query_name, *given):
                query = named(query_name)
                self._ask(query.sql, query.values(parameters(tuple(given)), iso_of))
            case ".form", (form,) if form in get_args(SqlForm) and form != "parquet":
                self._options = replace(self._options, form=form)  # type: ignore[arg-type]  # it is one of them
            case _:
                self._tell(name, *words)

    def _tell(self, name: str, *words: str) -> None:
        match name, words:
            case ".help", ():
                write(HELP)
            case ".views", _ if len(words) <= 1:
                write("\n".join(view for view in view_names(self._session.catalog) if "".join(words).lower() in view))
            case ".queries", ():
                for query in shipped():
                    takes = " ".join(f"{one.name}={one.default or '?'}" for one in query.parameters)
                    write(f"{query.name}  {takes}\n    {query.what}")
            case _:
                say(f"hms: expected a command of the shell, got {' '.join((name, *words))!r}; .help lists them")


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise Stop(Exit.USAGE, f"expected words, or values in quotes, got {line!r}: {error}") from None


def view_names(catalog: Catalog) -> list[str]:
    """Return all views by the names that queries use."""
    return [*ENTIRE, *COMPOSED, *sorted(str(kind.view) for kind in catalog.kinds.values())]


class Completion:
    """What may follow: views, columns of the views in the line, words of SQL, commands of the shell."""

    def __init__(self, catalog: Callable[[], Catalog]) -> None:
        self._catalog = catalog
        self._found: list[str] = []

    def __call__(self, text: str, state: int) -> str | None:
        """Return the candidate number `state` for a word that is begun (readline's way)."""
        if state == 0:
            import readline  # noqa: PLC0415

            self._found = self.candidates(text, readline.get_line_buffer())
        return self._found[state] if state < len(self._found) else None

    def candidates(self, text: str, line: str) -> list[str]:
        """Return everything that a begun word of a line may become."""
        if line.startswith(".") and " " not in line:
            commands = [command.split()[0] for command in HELP.splitlines()[1:]]
            return [command for command in commands if command.startswith(line)]
        catalog = self._catalog()
        words = [*view_names(catalog), *_columns(catalog, line), *KEYWORDS, *(query.name for query in shipped())]
        return list(dict.fromkeys(word for word in words if word.lower().startswith(text.lower())))


def _columns(catalog: Catalog, line: str) -> list[str]:
    names = ["topic", "shard", "position", "appended_at", "record_key", "envelope", "headers", "bytes"]
    for word in line.replace("(", " ").replace(",", " ").split():
        schema, _, name = word.rpartition(".")
        if kind := catalog.find(schema, name):
            names.extend(column.name for column in columns_of(kind))
    return names


def _remember(completion: Completion) -> Callable[[], None]:
    """Load the lines of earlier sittings; return what keeps those of this one."""
    try:
        import readline  # noqa: PLC0415 - not everywhere there
    except ImportError:
        return lambda: None
    path = history_file()
    readline.set_completer(completion)
    readline.set_completer_delims(" \t\n(),;=<>+-*/")
    readline.parse_and_bind("tab: complete")
    readline.set_history_length(HISTORY_LINES)
    if path.exists():
        readline.read_history_file(path)

    def keep() -> None:
        make_private(path.parent)
        path.touch(mode=0o600)
        readline.write_history_file(path)

    return keep


def history_file() -> Path:
    """Return where the shell's lines are kept: beside the log, for this user alone."""
    home = os.environ.get("XDG_STATE_HOME", "")
    state = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state"
    return state / "hms" / "sql-history"
