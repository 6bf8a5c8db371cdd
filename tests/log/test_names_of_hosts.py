"""A fleet's hosts have names: the first machine that takes one keeps it, and is known by it again."""

import asyncio
from pathlib import Path

import pytest

from hms.actors.agent import LogBoundElsewhere, bind, claim_name, name_of_home
from hms.core.log.open import open_log


def test_a_name_belongs_to_the_first_machine_that_takes_it(tmp_path: Path) -> None:
    async def main() -> None:
        log = await open_log(f"sqlite:{tmp_path / 'log.db'}")
        await claim_name(log, "east", "machine-1")
        await claim_name(log, "east", "machine-1")
        await claim_name(log, "west", "machine-2")
        with pytest.raises(
            LogBoundElsewhere, match=r"the host 'east' is machine-1, this one is machine-2; give this one"
        ):
            await claim_name(log, "east", "machine-2")
        await log.close()

    asyncio.run(main())


def test_the_fleets_home_is_known_by_its_name_again_and_others_are_not(tmp_path: Path) -> None:
    async def main() -> None:
        log = await open_log(f"sqlite:{tmp_path / 'log.db'}")
        assert await name_of_home(log, "machine-1") == ""
        await claim_name(log, "east", "machine-1")
        await claim_name(log, "west", "machine-2")
        await bind(log, "shop", "east")
        assert await name_of_home(log, "machine-1") == "east"
        assert await name_of_home(log, "machine-2") == ""
        with pytest.raises(LogBoundElsewhere, match="bound to the host east, this one is machine-2"):
            await bind(log, "shop", "machine-2")
        await log.close()

    asyncio.run(main())
