"""Membership: shards are shared out, move only when they must, and are taken over from the dead."""
# ruff: noqa: S101 a test suite asserts, and counts

from pathlib import Path

from ...log.port import Log, Membership
from .harness import PATIENCE_S, Connect, LogHarness, eventually


class MembersConformance(LogHarness):
    """The oracle says who should own what; fencing alone keeps two owners apart."""

    def test_the_only_member_gets_every_shard(self, tmp_path: Path) -> None:
        """And is confirmed in that generation only."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            member = await log.join("one")
            await _settled(log, member)
            now = await member.assignment()
            assert now.shards == frozenset(range(log.partitions))
            assert await member.confirm(3, now.generation)
            assert not await member.confirm(3, now.generation - 1)
            assert not await member.confirm(3, now.generation + 1)

        self.play(tmp_path, scenario)

    def test_a_second_member_gets_half_and_nobody_owns_a_shard_twice(self, tmp_path: Path) -> None:
        """What the first keeps never leaves it."""

        async def scenario(connect: Connect) -> None:
            one, two = await connect("one"), await connect("two")
            first = await one.join("one")
            await _settled(one, first)
            second = await two.join("two")
            await _settled(one, first, second)
            mine, theirs = (await first.assignment()).shards, (await second.assignment()).shards
            assert mine | theirs == frozenset(range(one.partitions))
            assert not mine & theirs
            assert abs(len(mine) - len(theirs)) <= 1
            third = await (await connect("three")).join("three")
            await _settled(one, first, second, third)
            assert (await first.assignment()).shards < mine
            assert (await second.assignment()).shards < theirs

        self.play(tmp_path, scenario)

    def test_a_shard_is_the_next_owners_only_after_its_release(self, tmp_path: Path) -> None:
        """Until then neither is confirmed."""

        async def scenario(connect: Connect) -> None:
            one, two = await connect("one"), await connect("two")
            first = await one.join("one")
            await _settled(one, first)
            before = await first.assignment()
            second = await two.join("two")
            now = await first.wait_changed(before.generation, int(PATIENCE_S * 1_000))
            (taken, *_) = sorted(before.shards - now.shards)
            assert not await first.confirm(taken, now.generation)
            assert not await second.confirm(taken, (await second.assignment()).generation)
            await first.release(taken)

            async def confirmed() -> bool:
                return await second.confirm(taken, (await second.assignment()).generation)

            await eventually(confirmed, "the shard with its new owner")
            assert taken in (await second.assignment()).shards

        self.play(tmp_path, scenario)

    def test_who_leaves_is_replaced_at_once(self, tmp_path: Path) -> None:
        """The others keep theirs and get the rest; leaving twice is nothing special."""

        async def scenario(connect: Connect) -> None:
            one, two = await connect("one"), await connect("two")
            first, second = await one.join("one"), await two.join("two")
            await _settled(one, first, second)
            kept = (await second.assignment()).shards
            await first.leave()
            await first.leave()
            await _settled(two, second)
            assert kept < (await second.assignment()).shards == frozenset(range(two.partitions))
            assert not await first.confirm(0, (await second.assignment()).generation)

        self.play(tmp_path, scenario)

    def test_the_shards_of_a_silent_member_are_taken_over_when_its_lease_is_over(self, tmp_path: Path) -> None:
        """Without its release. It is shown as dead, and is not confirmed when it wakes up."""

        async def scenario(connect: Connect) -> None:
            one, two = await connect("one"), await connect("two")
            first, second = await one.join("one"), await two.join("two")
            await _settled(one, first, second)
            (lost, *_) = sorted((await first.assignment()).shards)
            await self.silence(one)
            await _settled(two, second)
            assert (await second.assignment()).shards == frozenset(range(two.partitions))
            assert not await first.confirm(lost, (await second.assignment()).generation)
            alive = {info.node: info.alive for info in await two.nodes()}
            assert alive == {"one": False, "two": True}

        self.play(tmp_path, scenario)

    def test_a_newer_session_replaces_the_older_of_that_name(self, tmp_path: Path) -> None:
        """As after a restart within the lease: no waiting, and the old one is told."""

        async def scenario(connect: Connect) -> None:
            old, new = await connect("one"), await connect("one")
            stale = await old.join("one")
            await _settled(old, stale)
            member = await new.join("one")
            await _settled(new, member)
            now = await member.assignment()
            assert now.shards == frozenset(range(new.partitions))
            assert not await stale.confirm(0, now.generation)
            assert await member.confirm(0, now.generation)

        self.play(tmp_path, scenario)

    def test_generations_only_grow(self, tmp_path: Path) -> None:
        """With every change of anybody's assignment; `wait_changed` returns at its timeout without one."""

        async def scenario(connect: Connect) -> None:
            one, two = await connect("one"), await connect("two")
            first = await one.join("one")
            generations = [(await first.assignment()).generation]
            assert (await first.wait_changed(generations[0], 50)).generation == generations[0]
            second = await two.join("two")
            await _settled(one, first, second)
            generations.append((await first.assignment()).generation)
            await second.leave()
            await _settled(one, first)
            generations.append((await first.assignment()).generation)
            assert generations == sorted(set(generations))

        self.play(tmp_path, scenario)

    def test_nodes_shows_members_and_their_shards(self, tmp_path: Path) -> None:
        """By name, with the time they were last seen."""

        async def scenario(connect: Connect) -> None:
            one, two = await connect("b"), await connect("a")
            first, second = await one.join("b"), await two.join("a")
            await _settled(one, first, second)
            nodes = await one.nodes()
            assert [(info.node, info.alive) for info in nodes] == [("a", True), ("b", True)]
            assert [info.shards for info in nodes] == [(await m.assignment()).shards for m in (second, first)]
            assert all(info.seen_us > 0 for info in nodes)

        self.play(tmp_path, scenario)


async def _settled(log: Log, *members: Membership) -> None:
    """Let the members release what was taken from them until all shards are owned among them, evenly."""
    owned = {member.node: frozenset[int]() for member in members}

    async def even() -> bool:
        for member in members:
            now = (await member.assignment()).shards
            for shard in range(log.partitions):
                if shard not in now:
                    await member.release(shard)
            owned[member.node] = now
        counts = [len(shards) for shards in owned.values()]
        return sum(counts) == log.partitions and max(counts) - min(counts) <= 1

    await eventually(even, f"an even share of {log.partitions} shards among {len(members)}")
