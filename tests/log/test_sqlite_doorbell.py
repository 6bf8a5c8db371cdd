"""Processes that share a log wake each other, and do without it where they cannot."""

import asyncio
import subprocess
import sys
from pathlib import Path

from hms.core.log import open_log
from hms.core.log.port import NORMAL, Draft
from hms.core.log.sqlite.doorbell import Doorbell

RINGER = """
import asyncio, sys
from pathlib import Path
from hms.core.log.sqlite.doorbell import Doorbell

async def main():
    bell = Doorbell(Path(sys.argv[1]), lambda: None)
    bell.ring()
    if sys.argv[2] == "close":
        bell.close()

asyncio.run(main())
"""


def ring_from_elsewhere(path: Path, end: str) -> None:
    subprocess.run([sys.executable, "-c", RINGER, str(path), end], check=True)


def test_a_ring_from_another_process_is_heard(tmp_path: Path) -> None:
    async def main() -> None:
        heard = asyncio.Event()
        bell = Doorbell(tmp_path / "log.db", heard.set)
        await asyncio.to_thread(ring_from_elsewhere, tmp_path / "log.db", "close")
        await asyncio.wait_for(heard.wait(), 20)
        bell.close()
        assert not (tmp_path / "log.db-bells").exists()

    asyncio.run(main())


def test_the_bell_of_a_process_that_died_is_taken_down_by_the_next_ring(tmp_path: Path) -> None:
    async def main() -> None:
        await asyncio.to_thread(ring_from_elsewhere, tmp_path / "log.db", "die")
        folder = tmp_path / "log.db-bells"
        assert len(list(folder.iterdir())) == 1
        bell = Doorbell(tmp_path / "log.db", lambda: None)
        bell.ring()
        assert len(list(folder.iterdir())) == 1, "only its own is left"
        bell.close()

    asyncio.run(main())


def test_a_log_in_a_deep_folder_has_a_bell_or_does_without(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 20) / ("deeper" * 20)

    async def main() -> None:
        here = await open_log(f"sqlite:{folder / 'log.db'}")
        there = await open_log(f"sqlite:{folder / 'log.db'}")
        waiting = asyncio.ensure_future(here.wait({(NORMAL, 0): 0}, 60_000))
        await there.append([Draft(NORMAL, 0, b"a", b"b")])
        await asyncio.wait_for(waiting, 20)
        assert (await here.read(NORMAL, 0, 0)).records
        await here.close()
        await there.close()

    asyncio.run(main())
