"""The page of results."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from figures import Figure
from machine import Machine


class Outcome(NamedTuple):
    """What one bench gave; `skipped` says why it gave nothing, `profile` where the time goes when a bar was missed."""

    title: str
    what: str
    figures: Sequence[Figure]
    loads: Sequence[float] = ()
    skipped: str = ""
    profile: str = ""


def row(figure: Figure) -> str:
    met = "" if figure.bar is None else "yes" if figure.met else "**no**"
    return f"| {figure.what} | {figure.bar or ''} | {figure} | {met} |"


def table(outcomes: Sequence[Outcome]) -> str:
    lines = ["| what, on the embedded log | bar | median (least to most) | met |", "| --- | --- | --- | --- |"]
    for outcome in outcomes:
        lines += [row(figure) for figure in outcome.figures]
        if outcome.skipped:
            lines.append(f"| {outcome.title} | | not measured: {outcome.skipped} | **no** |")
    return "\n".join(lines)


def page(outcomes: Sequence[Outcome], machine: Machine, runs: int) -> str:
    head = f"""# Benchmarks

Written by `make bench` (`python bench --write`) on {datetime.now(UTC):%Y-%m-%d}; change nothing by hand. {runs} runs each,
every one in a fresh process, those that are compared taking turns (A B A B); a bar is held against the median.

Machine: {machine}.

{table(outcomes)}
"""
    return head + "".join(_section(outcome) for outcome in outcomes)


def _section(outcome: Outcome) -> str:
    text = f"\n## {outcome.title}\n\n{_paragraph(outcome.what)}\n"
    if outcome.loads:
        text += f"\nLoad average before its runs: {min(outcome.loads):.1f} to {max(outcome.loads):.1f}.\n"
    if outcome.profile:
        text += f"\nA bar is missed. Where the time goes:\n\n```text\n{outcome.profile}\n```\n"
    return text


def _paragraph(text: str) -> str:
    return " ".join(text.split())
