"""The table of incidents and the proof, as rows of text; on a terminal in colour."""

import sys
from collections.abc import Sequence

from ..cli.show import GAP, write
from .incident import GIVEN_UP, Outcome
from .proof import Comparison

HEADINGS = ("incident", "declared", "came", "seen as", "detected after", "healed after", "decided by")


def show_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Show a row for every incident; those that differ from what was declared are marked."""
    rows = [
        (
            outcome.incident.name,
            outcome.incident.declared,
            outcome.came if outcome.right else f"{outcome.came} (!)",
            outcome.seen,
            _after(outcome.detected_ms),
            _settled(outcome),
            outcome.decision or "nobody",
        )
        for outcome in outcomes
    ]
    _show(HEADINGS, rows, [outcome.right for outcome in outcomes])


def show_proof(comparisons: Sequence[Comparison]) -> None:
    """Show what the log folds to beside what runs."""
    rows = [(each.component, each.folded, each.running, "equal" if each.equal else "DIFFERENT") for each in comparisons]
    _show(("component", "folded from the log", "operating system", ""), rows, [each.equal for each in comparisons])


def _settled(outcome: Outcome) -> str:
    after = _after(outcome.settled_ms)
    return after if outcome.came != GIVEN_UP else f"(given up: {after})"


def _after(milliseconds: int | None) -> str:
    return "never" if milliseconds is None else f"{milliseconds / 1_000:.2f} s"


def _show(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    if sys.stdout.isatty():
        _show_in_colour(headings, rows, right)
        return
    widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    for row in (headings, tuple("-" * width for width in widths), *rows):
        write(GAP.join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _show_in_colour(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    from rich.console import Console  # noqa: PLC0415 - on a terminal only
    from rich.table import Table  # noqa: PLC0415

    table = Table(*headings, header_style="bold")
    for row, well in zip(rows, right, strict=True):
        table.add_row(*row, style="green" if well else "bold red")
    Console().print(table)
