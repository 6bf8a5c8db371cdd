"""The command line: `hms NOUN VERB`. Data goes to stdout, everything else to stderr; a command is imported when it runs."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import hms

COMMANDS: Final = {
    "up": ("hms.console.up:up", "Supervise the components of a fleet file"),
    "node": ("hms.console.cli.node:app", "Run apps on a log, without components of this host; list the nodes"),
    "agent": ("hms.console.agent:agent", "Run what a fleet places on this host"),
    "demo": ("hms.console.demo:demo", "Show a small fleet, real faults, and what becomes of them"),
    "component": ("hms.console.cli.component:app", "Components: what runs, and what shall run"),
    "host": ("hms.console.cli.host:app", "Hosts: which of them speak, and what runs there"),
    "supervisor": ("hms.console.cli.supervisor:app", "Supervisors: who is registered, and how they are"),
    "task": ("hms.console.cli.task:app", "Tasks: submit, follow, cancel"),
    "event": ("hms.console.cli.event:app", "Events: what happened, from the log"),
    "audit": ("hms.console.cli.audit:app", "Proof of the history: sign, verify, prove, export"),
    "sql": ("hms.console.cli.sql:app", "Questions to the whole history, in SQL"),
    "incident": ("hms.console.cli.incident:app", "Incidents: what went wrong, and the story of each"),
    "replay": ("hms.console.cli.replay:app", "The past: states, differences, proofs, other code"),
    "metric": ("hms.console.cli.metric:app", "Measurements of others, as telemetry"),
    "analysis": ("hms.console.cli.analysis:app", "What is unusual in numbers, and what most likely caused an incident"),
    "dead-letter": ("hms.console.cli.dead_letter:app", "Messages that could not be handled"),
    "schema": ("hms.console.cli.schema:app", "Schemas: of HMS, and of the log"),
    "shard": ("hms.console.cli.shard:app", "Shards: who owns them, and what waits in them"),
    "log": ("hms.console.cli.log:app", "The log itself: make it; what it holds, and whether it is whole"),
    "archive": ("hms.console.cli.archive:app", "The archive: the log's records as Parquet, for good"),
    "doctor": ("hms.console.cli.doctor:doctor", "Look for what is wrong, and say what to do"),
}
"""Name -> (where it is, what it says in the list of commands)."""

INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
TERMINATED: Final = 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; see `exit_codes.Exit`."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    if tokens == ["--version"]:
        print(hms.__version__)  # noqa: T201 - before anything is imported: it must be there in no time
        return 0
    if os.getpid() == 1:
        # A container's first process: the kernel would ignore TERM until a command has a handler of its own.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        code = _guarded(lambda: _run(tokens))
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more when it ends: let that go nowhere instead of complaining.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return code


def _run(tokens: list[str]) -> int:
    from cyclopts import App, Parameter  # noqa: PLC0415 - `hms --version` does not pay for it

    _check_command(tokens)

    app = App(
        name="hms",
        help="Keep a fleet of components alive, and answer for it.",
        version=hms.__version__,
        default_parameter=Parameter(negative=(), show_default=_default_text),
        suppress_keyboard_interrupt=False,
    )
    for name, (place, what) in COMMANDS.items():
        app.command(place, name=name, help=what)
    app.register_install_completion_command()
    if not {"--help", "-h"}.isdisjoint(tokens):
        _show_docstring(app, tokens)
    result: Any = app(tokens, exit_on_error=False, print_error=False, verbose=False, result_action="return_value")
    return result if isinstance(result, int) else 0


def _show_docstring(app: Any, tokens: list[str]) -> None:
    """Let the help of one command be all of its docstring: the short text that it came with is for the list."""
    _, chain, _ = app.parse_commands([token for token in tokens if token not in {"--help", "-h"}])
    if chain[-1].default_command is not None:
        chain[-1].help = None


def _default_text(default: object) -> str | None:
    """Return what help says of a default; nothing where nothing is the default."""
    return None if default in (None, "", (), False) else str(default)


def _check_command(tokens: list[str]) -> None:
    """Refuse a command that there is none of; cyclopts would import all of them to say so."""
    if not tokens or tokens[0].startswith("-") or tokens[0] in COMMANDS:
        return
    from difflib import get_close_matches  # noqa: PLC0415

    from .exit_codes import Exit, Stop  # noqa: PLC0415

    close = get_close_matches(tokens[0], COMMANDS, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(COMMANDS)}."
    raise Stop(Exit.USAGE, f"no command {tokens[0]!r}; {hint} See: hms --help")


def _guarded(command: Callable[[], int]) -> int:
    """Turn whatever is raised into an exit code and one message on stderr."""
    try:
        return command()
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("HMS_TRACEBACK"):
            raise
        from .exit_codes import explained  # noqa: PLC0415 - as above

        code, message = explained(error)
        print(f"hms: {message}", file=sys.stderr)  # noqa: T201 - the place where messages reach people
        return code
