"""The page of results."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from figures import Figure
from machine import Machine

PARTS = ("on the embedded log", "on Kafka", "of the readers")
HEAD = """# Benchmarks

What `make bench` (`python bench --write`) measures, a part for each log and one for those who read them (`python bench
embedded --write`, with `kafka` or `readers` one of the others, writes one); change nothing by hand. Every run is in a fresh
process, those that are compared take turns (A B A B); a bar is held against the median.
"""


class Outcome(NamedTuple):
    """What one bench gave.

    `skipped` says why it gave nothing (`failed`: for an error), `profile` where the time goes when a bar was missed.
    """

    title: str
    what: str
    part: str
    """The log that it is about, as in PARTS."""
    figures: Sequence[Figure]
    loads: Sequence[float] = ()
    skipped: str = ""
    failed: bool = False
    profile: str = ""


def row(figure: Figure) -> str:
    met = "" if figure.bar is None else "yes" if figure.met else "**no**"
    return f"| {figure.what} | {figure.bar or ''} | {figure} | {met} |"


def table(outcomes: Sequence[Outcome]) -> str:
    part = outcomes[0].part if outcomes else ""
    lines = [f"| what, {part} | bar | median (least to most) | met |", "| --- | --- | --- | --- |"]
    for outcome in outcomes:
        lines += [row(figure) for figure in outcome.figures]
        if outcome.skipped:
            lines.append(f"| {outcome.title} | | not measured: {outcome.skipped} | **no** |")
    return "\n".join(lines)


def page(old: str, outcomes: Sequence[Outcome], machine: Machine, runs: int) -> str:
    """Return the page with the parts that were measured written anew, and the others as they are in the old one."""
    parts = {part: _kept(old, part) for part in PARTS}
    for part in PARTS:
        if mine := [outcome for outcome in outcomes if outcome.part == part]:
            parts[part] = _part(part, mine, machine, runs)
    return HEAD + "".join(parts.values())


def _kept(old: str, part: str) -> str:
    """The part of a page, from its heading to the next part's."""
    _, found, rest = old.partition(_heading(part))
    ends = [end for other in PARTS if (end := rest.find(_heading(other))) >= 0]
    return found + rest[: min(ends, default=len(rest))]


def _heading(part: str) -> str:
    return f"\n## {part[0].upper()}{part[1:]}\n"


def _part(part: str, outcomes: Sequence[Outcome], machine: Machine, runs: int) -> str:
    head = f"""{_heading(part)}
Written on {datetime.now(UTC):%Y-%m-%d}, {runs} runs each. Machine: {machine}.

{table(outcomes)}
"""
    return head + "".join(_section(outcome) for outcome in outcomes)


def _section(outcome: Outcome) -> str:
    text = f"\n### {outcome.title}\n\n{_paragraph(outcome.what)}\n"
    if outcome.loads:
        text += f"\nLoad average before its runs: {min(outcome.loads):.1f} to {max(outcome.loads):.1f}.\n"
    if outcome.profile:
        text += f"\nA bar is missed. Where the time goes:\n\n```text\n{outcome.profile}\n```\n"
    return text


def _paragraph(text: str) -> str:
    return " ".join(text.split())
