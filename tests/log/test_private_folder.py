"""Whatever HMS makes first, the folders of its state are this user's alone."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from hms.actors.host.agent_lock import AgentLock
from hms.actors.host.host_id import host_id
from hms.core.log import open_log


def take_lock(state: Path) -> None:
    AgentLock("shop", state / "fleets" / "shop").release()


def make_log(state: Path) -> None:
    async def main() -> None:
        await (await open_log(f"sqlite:{state / 'logs' / 'log.db'}")).close()

    asyncio.run(main())


@pytest.mark.parametrize("make", [take_lock, make_log, host_id])
def test_every_folder_that_is_made_on_the_way_is_private(tmp_path: Path, make: Callable[[Path], object]) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    make(home / "state" / "hms")
    made = [path for path in home.rglob("*") if path.is_dir()]
    assert {path.name for path in made} >= {"state", "hms"}
    assert {path.stat().st_mode & 0o777 for path in made} == {0o700}
    assert home.stat().st_mode & 0o777 == 0o755, "what was there is not touched"
