"""README and docs say what happens: every code block of every page is run. Here the pages that start no fleet."""

import textwrap
from pathlib import Path

import pytest
from run_docs import PageFailed, run_page, wait_until

ROOT = Path(__file__).parents[2]
ELSEWHERE = ("<!-- run: system -->", "<!-- run: kafka -->")
"""First lines of pages that need more: they run in tests/system/test_docs_with_processes.py and tests/kafka/test_docs.py."""

PAGES = [
    path
    for path in sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
    if not path.read_text(encoding="utf-8").startswith(ELSEWHERE)
]


@pytest.mark.timeout(400)  # a page is many commands: a busy machine is not a failure
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_code_block_of_the_page_holds(page: Path) -> None:
    run_page(page, str(page.relative_to(ROOT)))


def check(tmp_path: Path, text: str, limit_s: float = 30.0) -> int:
    page = tmp_path / "page.md"
    page.write_text(textwrap.dedent(text), encoding="utf-8")
    return run_page(page, "page.md", limit_s)


def test_a_command_that_prints_what_the_page_says_holds(tmp_path: Path) -> None:
    assert (
        check(
            tmp_path,
            """
            ```console
            $ echo one; echo 2026-01-01 two; echo three
            one
            ... two
            three
            $ printf 'a\\nb   c\\nd\\n'
            ...
            a
            ...
            b c
            ...
            $ echo a \\
            >   b
            a b
            ```
            """,
        )
        == 1
    )


def test_a_command_that_prints_something_else_fails_the_page_and_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(PageFailed, match=r"page.md:2: \$ echo two: expected\none\ngot\ntwo"):
        check(tmp_path, "\n```console\n$ echo two\none\n```\n")


def test_output_below_what_the_page_says_fails_the_page(tmp_path: Path) -> None:
    with pytest.raises(PageFailed, match="expected\none\ngot\none\ntwo"):
        check(tmp_path, "```sh\n$ echo one; echo two\none\n```\n")


def test_a_command_that_fails_fails_the_page_unless_the_next_shows_its_exit_code(tmp_path: Path) -> None:
    with pytest.raises(PageFailed, match="expected exit code 0, got 3; it printed\nno"):
        check(tmp_path, "```console\n$ echo no; (exit 3)\n```\n")
    check(tmp_path, "```console\n$ (exit 3)\n$ echo $?\n3\n```\n")
    with pytest.raises(PageFailed, match="expected\n10\ngot\n3"):
        check(tmp_path, "```console\n$ (exit 3)\n$ echo $?\n10\n```\n")


def test_a_command_the_shell_cannot_read_or_that_ends_the_shell_fails_the_page(tmp_path: Path) -> None:
    with pytest.raises(PageFailed, match="unexpected EOF"):
        check(tmp_path, "```console\n$ echo 'open\n```\n")
    with pytest.raises(PageFailed, match="expected exit code 0, got 1"):
        check(tmp_path, "```console\n$ exit 0\n```\n")


def test_a_command_that_hangs_fails_the_page_with_what_it_printed(tmp_path: Path) -> None:
    with pytest.raises(PageFailed, match=r"expected echo begun; sleep 60 to end within 4\.0 s; it printed\nbegun"):
        check(tmp_path, "```console\n$ echo begun; sleep 60\n```\n", limit_s=4.0)


def test_exports_folders_and_files_of_one_block_are_there_for_the_next(tmp_path: Path) -> None:
    check(
        tmp_path,
        """
        ```yaml file=conf/fleet.yaml
        fleet: shop
        ```
        ```console
        $ export GREETING=hello
        $ cd conf
        ```
        ```console
        $ cat fleet.yaml; echo $GREETING
        fleet: shop
        hello
        ```
        """,
    )


def test_the_blocks_of_python_share_a_namespace_and_import_what_the_page_wrote(tmp_path: Path) -> None:
    check(
        tmp_path,
        """
        ```python file=bank.py
        RATE = 3
        ```
        ```python
        import asyncio

        import bank
        async def main() -> int:
            return bank.RATE
        rate = asyncio.run(main())
        ```
        ```python
        import os
        assert rate == 3
        print("the rate is", rate, flush=True)
        os.system("echo from a child")
        ```
        ```text output
        the rate is 3
        from a child
        ```
        """,
    )


def test_a_block_of_python_that_raises_fails_the_page_with_the_line_of_the_page(tmp_path: Path) -> None:
    with pytest.raises(PageFailed, match=r"page.md:2: .*raised\n(.*\n)*.*line 4.*\n(.*\n)*AssertionError: two"):
        check(tmp_path, "\n```python\none = 1\nassert one == 2, 'two'\n```\n")
    with pytest.raises(PageFailed, match="expected\n2\ngot\n1"):
        check(tmp_path, "```python\nprint(1)\n```\n```text output\n2\n```\n")


def test_a_background_command_is_waited_for_and_ended_with_the_page(tmp_path: Path) -> None:
    check(
        tmp_path,
        f"""
        ```python file=server.py
        import os, pathlib, signal
        signal.signal(signal.SIGINT, lambda *_: (pathlib.Path("{tmp_path}/ended").write_text("yes"), os._exit(0)))
        print("starting", os.getpid(), "ready", flush=True)
        signal.pause()
        ```
        ```console background
        $ echo $$ && python server.py
        ...
        starting ... ready
        ```
        """,
    )
    assert (tmp_path / "ended").read_text() == "yes"


def test_a_background_command_that_never_says_it_fails_the_page_at_once_when_it_ends(tmp_path: Path) -> None:
    with pytest.raises(PageFailed, match="expected\nready\ngot\nbroken"):
        check(tmp_path, "```console background\n$ echo broken\nready\n```\n")


def test_a_background_command_that_ignores_the_interrupt_is_killed_and_fails_the_page(tmp_path: Path) -> None:
    with pytest.raises(PageFailed, match=r"expected the background command to end on SIGINT within 4\.0 s"):
        check(
            tmp_path,
            f"```console background\n$ trap '' INT; echo $BASHPID >{tmp_path}/pid; echo ready; sleep 60\nready\n```\n",
            limit_s=4.0,
        )
    assert wait_until(lambda: not Path("/proc", (tmp_path / "pid").read_text().strip()).exists(), 60.0)


@pytest.mark.parametrize("info", ["", "yaml", "console quick", "pyton", "python no-run", "text output really"])
def test_a_block_that_is_neither_run_nor_excused_fails_the_page(tmp_path: Path, info: str) -> None:
    with pytest.raises(PageFailed, match=r"page\.md:1: expected a block that is run"):
        check(tmp_path, f"```{info}\nanything\n```\n")


def test_a_block_is_excused_only_with_a_reason(tmp_path: Path) -> None:
    assert check(tmp_path, "```console no-run: needs two machines\n$ false\n```\n```text\nshown\n```\n") == 2
    with pytest.raises(PageFailed, match="expected a reason"):
        check(tmp_path, "```console no-run:\n$ false\n```\n")


def test_a_fence_left_open_a_block_without_a_command_and_a_file_outside_fail_the_page(tmp_path: Path) -> None:
    with pytest.raises(PageFailed, match=r"page\.md:2: expected this fence to be closed"):
        check(tmp_path, "\n```console\n$ echo\n")
    with pytest.raises(PageFailed, match=r"expected a line that begins with '\$ '"):
        check(tmp_path, "```sh\nmake test\n```\n")
    with pytest.raises(PageFailed, match="inside the page's folder"):
        check(tmp_path, "```yaml file=../fleet.yaml\nfleet: shop\n```\n")


def test_a_page_sees_no_log_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HMS_LOG", "sqlite:mine.db")
    check(
        tmp_path,
        '```console\n$ echo "log:$HMS_LOG"; case $XDG_STATE_HOME in */hms-docs-*) echo own;; esac\nlog:\nown\n```\n',
    )
