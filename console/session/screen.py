"""Where the news of a fleet goes: lines, JSON, or on a terminal lines above a table that stays."""

import asyncio
import sys
import time
from types import TracebackType
from typing import Any, Final, Self

from ...core.client import Recorded
from ...schemas import Event
from ..cli.options import Form
from ..cli.plain_value import envelope_item, plain
from ..cli.show import say, write, write_line
from .board import Board
from .news import Line

QUIET_S: Final = 0.3
_STYLES: Final = {"plain": "", "good": "green", "warn": "yellow", "bad": "bold red"}
_PHASES: Final = {"running": "green", "given_up": "bold red", "exited": "red", "starting": "yellow"}


class Screen:
    """Plain lines on stdout."""

    def __init__(self) -> None:
        self._heard = time.monotonic()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""

    def say(self, text: str) -> None:
        """Say something that is no event."""
        say(f"hms: {text}")

    def tell(self, recorded: Recorded[Event], line: Line | None) -> None:
        """Tell an event; `line` is None for one that is nobody's news."""
        del recorded
        self._heard = time.monotonic()
        if line is not None:
            self._write(line)

    async def wait_quiet(self) -> None:
        """Wait until what happened last has been told."""
        until = time.monotonic() + QUIET_S
        while time.monotonic() < max(until, self._heard + QUIET_S / 3):  # noqa: ASYNC110 - at the end only
            await asyncio.sleep(QUIET_S / 6)

    def _write(self, line: Line) -> None:
        write(line.plain())
        sys.stdout.flush()


class JsonScreen(Screen):
    """An event a line: its envelope and data as `hms event tail` has them."""

    def tell(self, recorded: Recorded[Event], line: Line | None) -> None:
        """Tell an event."""
        del line
        self._heard = time.monotonic()
        write_line({"envelope": envelope_item(recorded.envelope), "data": plain(recorded.data)})
        sys.stdout.flush()


class ColourScreen(Screen):
    """Lines in colour, on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - on a terminal only

        super().__init__()
        self._console = Console()

    def say(self, text: str) -> None:
        """Say something that is no event."""
        self._console.print(f"hms: {text}", style="bold", markup=False, highlight=False)

    def _write(self, line: Line) -> None:
        self._console.print(line.plain(), style=_STYLES[line.tone], markup=False, highlight=False)


class LiveScreen(ColourScreen):
    """Lines above a table of the components, on a terminal."""

    def __init__(self, board: Board, title: str) -> None:
        from rich.live import Live  # noqa: PLC0415 - on a terminal only

        super().__init__()
        self._board = board
        self._title = title
        self._live: Any = Live(console=self._console, get_renderable=self._table, refresh_per_second=4)

    def __enter__(self) -> Self:
        """Begin."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; the last table stays."""
        self._live.stop()

    def _table(self) -> Any:
        from rich.table import Table  # noqa: PLC0415 - on a terminal only
        from rich.text import Text  # noqa: PLC0415

        table = Table(title=self._title, title_justify="left", box=None, pad_edge=False, header_style="bold")
        for heading in ("component", "phase", "ready", "pid", "incarnation", "restarts", "note"):
            table.add_column(heading)
        for name, row in self._board.rows.items():
            phase = Text(row.phase, style=_PHASES.get(row.phase, ""))
            pid = str(row.pid or "-")
            ready = "yes" if row.ready else "-"
            table.add_row(name, phase, ready, pid, str(row.incarnation), str(row.restarts), Text(row.note[:60]))
        return table


def screen_for(form: Form, board: Board, title: str) -> Screen:
    """Return what fits the form and stdout."""
    if form != "text":
        return JsonScreen()
    return LiveScreen(board, title) if sys.stdout.isatty() else Screen()
