"""The pages of the documentation that show HMS on Kafka, on a real one; `$KAFKA` is its address, its tools are in the path."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_docs import run_page

from .broker import Broker
from .fixtures import delete
from .tools import put_tools

ROOT = Path(__file__).parents[2]
PAGES = [
    path
    for path in sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
    if path.read_text(encoding="utf-8").startswith("<!-- run: kafka -->")
]
PREFIX = "shop"
"""What the pages call their log."""


@pytest.fixture
def clean(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    put_tools(tmp_path)
    monkeypatch.setenv("KAFKA", broker.bootstrap)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    yield
    delete(broker.bootstrap, PREFIX)


@pytest.mark.timeout(400)  # a page is many commands, and each of Kafka's tools a JVM
@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_code_block_of_the_page_holds_on_kafka(page: Path) -> None:
    run_page(page, str(page.relative_to(ROOT)))
