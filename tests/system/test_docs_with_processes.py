"""The pages of README and docs that start fleets and nodes; how a page is run is tested in tests/unit/test_docs.py."""

from pathlib import Path

import pytest
from run_docs import PageFailed, run_page, wait_until

ROOT = Path(__file__).parents[2]
PAGES = [
    path
    for path in sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
    if path.read_text(encoding="utf-8").startswith("<!-- run: system -->")
]


@pytest.mark.timeout(400)  # a page is many commands: a busy machine is not a failure
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_code_block_of_the_page_holds(page: Path) -> None:
    run_page(page, str(page.relative_to(ROOT)))


def test_a_page_that_fails_leaves_no_component_running(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```yaml file=fleet.yaml\nfleet: left\ncomponents: [{id: one, command: [sleep, '600']}]\n```\n"
        "```console\n$ hms up -f fleet.yaml >up.log 2>&1 &\n$ until grep -q 'one .*started' up.log; do sleep 0.1; done\n"
        f"$ grep -o 'pid [0-9]*' up.log >{tmp_path}/pid; false\n```\n"
    )
    with pytest.raises(PageFailed, match="expected exit code 0"):
        run_page(page)
    assert wait_until(lambda: not Path("/proc", (tmp_path / "pid").read_text().split()[1]).exists(), 60.0)
