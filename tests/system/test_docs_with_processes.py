"""The pages of README and docs that start fleets and nodes; how a page is run is tested in tests/unit/test_docs.py."""

from pathlib import Path

import pytest
from run_docs import run_page

ROOT = Path(__file__).parents[2]
PAGES = [
    path
    for path in sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
    if path.read_text(encoding="utf-8").startswith("<!-- run: system -->")
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_code_block_of_the_page_holds(page: Path) -> None:
    run_page(page, str(page.relative_to(ROOT)))
