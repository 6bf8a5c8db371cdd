"""Fenced writers: one a shard, all or nothing, never visible once fenced."""
# ruff: noqa: S101, PLR2004 a test suite asserts, and counts

import asyncio
from pathlib import Path

from ...errors import CommitUnknown, LogUnreachable, WriterFenced
from ...log.port import CHECKPOINTS, EVENTS, NORMAL, OUTBOX, Log, Writer
from .harness import Connect, LogHarness, draft, eventually, outcome, raised, read_all, values

CUTS = (*range(12), *range(16, 96, 8), *range(96, 512, 32))
"""After so many turns of the event loop a commit is cut off: a simulated one has few, one over a network hundreds."""


class WritersConformance(LogHarness):
    """Promise 3 rests on this: a fenced-off writer's records are never visible to a committed reader."""

    def test_a_commit_writes_to_many_partitions_and_returns_their_offsets(self, tmp_path: Path) -> None:
        """In the order of the drafts."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            writer = await log.open_writer(3, "one")
            targets = [(EVENTS, 3), (NORMAL, 7), (OUTBOX, 0), (CHECKPOINTS, 3), (EVENTS, 3)]
            offsets = await writer.commit([draft(*target, value=f"v{n}") for n, target in enumerate(targets)])
            found = {target: await read_all(log, *target) for target in targets}
            for n, (target, offset) in enumerate(zip(targets, offsets, strict=True)):
                assert f"v{n}" in [(r.value or b"").decode() for r in found[target] if r.offset == offset]
            assert values(found[EVENTS, 3]) == ["v0", "v4"]

        self.play(tmp_path, scenario)

    def test_commits_leave_gaps_where_the_log_has_markers(self, tmp_path: Path) -> None:
        """A position goes past them; a reader that counts records instead would stop for ever."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            writer = await log.open_writer(0, "one")
            offsets = [(await writer.commit([draft(EVENTS, 0, f"v{n}")]))[0] for n in range(3)]
            found = await read_all(log, EVENTS, 0)
            assert [record.offset for record in found] == offsets
            assert ((await log.watermarks(EVENTS, 0)).high > offsets[-1] + 1) == log.capabilities.markers
            assert (offsets[1] > offsets[0] + 1) == log.capabilities.markers

        self.play(tmp_path, scenario)

    def test_a_fenced_writer_writes_nothing_visible(self, tmp_path: Path) -> None:
        """Whoever opened the shard last is the only one, on the same handle or another."""

        async def scenario(connect: Connect) -> None:
            log, other = await connect("one"), await connect("two")
            old = await log.open_writer(5, "one")
            await old.commit([draft(EVENTS, 5, "before")])
            new = await other.open_writer(5, "two")
            await raised(old.commit([draft(EVENTS, 5, "fenced"), draft(OUTBOX, 1, "fenced")]), WriterFenced)
            await raised(old.commit([]), WriterFenced)
            await new.commit([draft(EVENTS, 5, "after")])
            assert values(await read_all(log, EVENTS, 5)) == ["before", "after"]
            assert await read_all(log, OUTBOX, 1) == []

        self.play(tmp_path, scenario)

    def test_a_commit_that_races_with_an_opening_is_before_it_or_not_at_all(self, tmp_path: Path) -> None:
        """What the new owner reads after opening is all there will ever be of the old one."""

        async def scenario(connect: Connect) -> None:
            one, two = await connect("one"), await connect("two")
            writer = await one.open_writer(2, "one")
            expected: list[str] = []
            for n in range(30):
                racing = asyncio.create_task(
                    outcome(writer.commit([draft(EVENTS, 2, f"{n}a"), draft(EVENTS, 2, f"{n}b")]))
                )
                for _ in range(n % 10):
                    await asyncio.sleep(0)
                writer = await two.open_writer(2, "two")
                restored = values(await read_all(two, EVENTS, 2))
                result = await racing
                assert isinstance(result, list | WriterFenced | CommitUnknown), result
                written = [*expected, f"{n}a", f"{n}b"]
                if isinstance(result, list) or (isinstance(result, CommitUnknown) and restored == written):
                    expected = written
                assert restored == expected
                one, two = two, one
            assert values(await read_all(one, EVENTS, 2)) == expected

        self.play(tmp_path, scenario)

    def test_epochs_grow_with_every_opening_of_the_shard(self, tmp_path: Path) -> None:
        """Over handles, and each shard for itself; one that has rested for days may begin anew, which no suite waits for.

        They are recorded as Avro longs.
        """

        async def scenario(connect: Connect) -> None:
            one, two = await connect("one"), await connect("two")
            epochs = [(await log.open_writer(4, "x")).epoch for log in (one, two, one, one)]
            assert epochs == sorted(set(epochs))
            other = await two.open_writer(9, "x")
            last = await one.open_writer(4, "x")
            assert last.epoch > epochs[-1]
            assert all(0 <= epoch < 1 << 63 for epoch in (*epochs, other.epoch))
            await other.commit([draft(EVENTS, 9)])
            assert (last.shard, other.shard) == (4, 9)

        self.play(tmp_path, scenario)

    def test_a_closed_writer_commits_nothing(self, tmp_path: Path) -> None:
        """And closing it fences nobody."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            old = await log.open_writer(1, "one")
            new = await log.open_writer(1, "one")
            await old.close()
            await new.commit([draft(EVENTS, 1, "fine")])
            await new.close()
            await new.close()
            await raised(new.commit([draft(EVENTS, 1, "closed")]), WriterFenced)
            assert values(await read_all(log, EVENTS, 1)) == ["fine"]

        self.play(tmp_path, scenario)

    def test_shards_of_one_handle_commit_side_by_side(self, tmp_path: Path) -> None:
        """A fenced one among them fails alone."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            writers = [await log.open_writer(shard, "one") for shard in range(log.partitions)]
            await log.open_writer(6, "two")
            results = await asyncio.gather(
                *[outcome(w.commit([draft(EVENTS, w.shard), draft(OUTBOX, 0, f"{w.shard}")])) for w in writers]
            )
            assert [shard for shard, result in enumerate(results) if isinstance(result, WriterFenced)] == [6]
            assert sorted(map(int, values(await read_all(log, OUTBOX, 0)))) == [
                n for n in range(log.partitions) if n != 6
            ]

        self.play(tmp_path, scenario)

    def test_a_commit_that_is_cut_off_is_whole_or_not_at_all_and_kills_its_writer(self, tmp_path: Path) -> None:
        """Opening the shard again resolves it; until then readers may be held up behind it."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            for n, steps in enumerate(CUTS):
                await self._cut_off(log, n, steps)
            seen = values(await read_all(log, EVENTS, 8))
            assert seen == values(await read_all(log, OUTBOX, 2))
            assert set(map(int, seen)) <= set(range(100)), seen
            assert [value for value in seen if int(value) >= 50] == [f"{50 + n}" for n in range(len(CUTS))]

        self.play(tmp_path, scenario)

    async def _cut_off(self, log: Log, n: int, steps: int) -> None:
        writer = await log.open_writer(8, "one")
        commit = asyncio.create_task(writer.commit([draft(EVENTS, 8, f"{n}"), draft(OUTBOX, 2, f"{n}")]))
        for _ in range(steps):
            await asyncio.sleep(0)
        commit.cancel()
        await asyncio.gather(commit, return_exceptions=True)
        if commit.cancelled() and steps:
            await raised(writer.commit([draft(EVENTS, 8, "99")]), WriterFenced, CommitUnknown, LogUnreachable)
        again = await log.open_writer(8, "two")
        await again.commit([draft(EVENTS, 8, f"{50 + n}"), draft(OUTBOX, 2, f"{50 + n}")])

    async def _cut_off_half_written(self, log: Log, writer: Writer) -> None:
        """Cut a commit off when its first records are in the log: it is so large that they go one after another."""
        before = (await log.watermarks(NORMAL, 8)).high
        commit = asyncio.create_task(writer.commit([draft(NORMAL, 8, "cut" + 600_000 * "x") for _ in range(4)]))  # noqa: RUF006
        while not commit.done() and (await log.watermarks(NORMAL, 8)).high == before:  # noqa: ASYNC110 asked of a log
            await asyncio.sleep(0)
        commit.cancel()
        await asyncio.gather(commit, return_exceptions=True)

    def test_watermarks_enclose_what_can_be_read(self, tmp_path: Path) -> None:
        """`start <= stable <= high`, and in the end nothing hides."""

        async def scenario(connect: Connect) -> None:
            log, other = await connect("one"), await connect("two")
            assert await log.watermarks(EVENTS, 0) == (0, 0, 0)
            writer = await log.open_writer(0, "one")
            offsets = await writer.commit([draft(EVENTS, 0) for _ in range(5)])
            now = await other.watermarks(EVENTS, 0)
            assert now.start == 0 <= now.stable <= now.high
            assert now.high > offsets[-1]

            async def nothing_hides() -> bool:
                marks = await other.watermarks(EVENTS, 0)
                return marks.stable == marks.high

            await eventually(nothing_hides, "the last stable offset at the high watermark")

        self.play(tmp_path, scenario)

    def test_an_open_transaction_hides_what_is_behind_it_until_its_shard_is_opened(self, tmp_path: Path) -> None:
        """Where the log has these; `watermarks` tells: high goes on, stable stands."""

        async def scenario(connect: Connect) -> None:
            log = await connect("one")
            if not log.capabilities.open_transactions:
                return
            hidden = False
            for n in range(12):
                writer = await log.open_writer(8, "one")
                await self._cut_off_half_written(log, writer)
                await log.append([draft(NORMAL, 8, f"behind{n}")])
                marks = await log.watermarks(NORMAL, 8)
                hidden = hidden or marks.stable < marks.high
                await log.open_writer(8, "two")
                seen = values(await read_all(log, NORMAL, 8))
                assert seen[-1] == f"behind{n}"
                assert sum(value.startswith("cut") for value in seen) % 4 == 0
            assert hidden, "no cut left a transaction open"

        self.play(tmp_path, scenario)
