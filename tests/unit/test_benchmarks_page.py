"""The page of benchmarks is written in parts: one is measured anew, the other stays as it is."""

import importlib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    return importlib.import_module("report")


def part_of(page: str, heading: str) -> str:
    _, found, rest = page.partition(f"\n## {heading}\n")
    assert found, f"expected the part {heading}"
    return rest.partition("\n## ")[0]


def test_a_part_that_is_measured_is_written_and_the_other_stays(report: Any) -> None:
    old = PAGE.read_text(encoding="utf-8")
    figure = importlib.import_module("figures").Figure("a thing", "s", [1.0, 2.0, 4.0])
    page = report.page(old, [report.Outcome("Things", "How.", "on Kafka", [figure])], "a machine", 3)
    assert part_of(page, "On the embedded log").strip() == part_of(old, "On the embedded log").strip()
    assert "| a thing |  | 2 s (1 to 4) |  |" in part_of(page, "On Kafka")
    assert "### Things" in part_of(page, "On Kafka")


def test_the_page_begins_as_the_bench_writes_it(report: Any) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.startswith(report.HEAD)
    assert report.page(page, [], "a machine", 3) == page
