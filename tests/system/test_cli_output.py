"""A component's output as the command line reads it, while its shim rotates the files."""

import asyncio
from pathlib import Path

from hms.console.cli.component.logs import following, last_lines


def test_the_last_lines_reach_back_into_rotated_files(tmp_path: Path) -> None:
    for name, lines in (("output.log.2", "1\n2\n"), ("output.log.1", "3\n4\n"), ("output.log", "5\n6")):
        (tmp_path / name).write_text(lines)
    assert last_lines(tmp_path, 3) == ["4", "5", "6"]
    assert last_lines(tmp_path, 100) == ["1", "2", "3", "4", "5", "6"]
    assert last_lines(tmp_path, 0) == []


def test_following_goes_on_in_the_new_file_after_a_rotation(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "output.log"
        path.write_text("old\n")
        lines = following(path)
        first = asyncio.ensure_future(anext(lines))
        await asyncio.sleep(0)  # it has looked now: what was there before is not its own
        with path.open("a") as old:
            old.write("before\n")
            old.flush()
            assert await first == "before"
            path.rename(tmp_path / "output.log.1")
            path.write_text("after\n")
            old.write("la")
            old.write("st\n")
        assert [await anext(lines) for _ in range(2)] == ["last", "after"]
        await lines.aclose()

    asyncio.run(main())
