import asyncio

import pytest

from hms.core.runtime import duty as module
from hms.core.runtime.duty import Duties


class Follower:
    name = "follower"

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.following: list[tuple[int, int]] = []
        self.is_there = asyncio.Event()

    async def follow(self, shard: int, epoch: int) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("the disk is full")
        self.following.append((shard, epoch))
        self.is_there.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.following.remove((shard, epoch))


def test_a_duty_follows_a_shard_for_as_long_as_it_is_open() -> None:
    async def main() -> None:
        follower = Follower()
        async with Duties([follower]).beside(3, 7):
            await follower.is_there.wait()
            assert follower.following == [(3, 7)]
        assert follower.following == []

    asyncio.run(main())


def test_a_duty_that_fails_is_reported_and_begun_again_while_the_shard_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        follower = Follower(failures=3)
        duties = Duties([follower])
        async with duties.beside(0, 1):
            await asyncio.wait_for(follower.is_there.wait(), 30)
            assert duties.failures == {("follower", 0): "OSError: the disk is full"}
        assert duties.failures == {}

    monkeypatch.setattr(module, "BACKOFF_FIRST_S", 0.001)
    asyncio.run(main())


def test_a_shard_without_duties_is_opened_as_before() -> None:
    async def main() -> None:
        async with Duties().beside(0, 1):
            pass

    asyncio.run(main())
