"""SQL over what is archived and what is not yet: as if it were one, at one moment."""

import asyncio
from pathlib import Path

import pytest

from hms.core.errors import HmsError, PositionTrimmed
from hms.core.log.port import EVENTS
from hms.replay.history import History
from hms.replay.sql.session import Session

from .archived import count, everything, filled, run_archive
from .written import SMALL, rows

BY_TYPE = (
    "SELECT type, topic, count(*) AS n FROM events GROUP BY ALL UNION ALL "
    "SELECT type, topic, count(*) FROM messages GROUP BY ALL"
)
ADDED = "SELECT record_key, amount, note, position, shard FROM counters.added"


def _as_set(found: list[dict[str, object]]) -> set[tuple[object, ...]]:
    answer = {tuple(row.values()) for row in found}
    assert len(answer) == len(found), "expected no row twice"
    return answer


def test_archive_and_tail_together_are_the_log(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db")
        async with Session(History(log), limits=SMALL) as session:
            before = _as_set(await rows(session, ADDED))
        archive = await run_archive(tmp_path / "archive", log)
        await count(log, 20)
        async with Session(History(log), limits=SMALL) as alone, Session(History(log, archive), archive, SMALL) as both:
            added = _as_set(await rows(both, ADDED))
            assert before < added == _as_set(await rows(alone, ADDED))
            assert _as_set(await rows(both, BY_TYPE)) == _as_set(await rows(alone, BY_TYPE))
            kept = sum(len(records) for (topic, _), records in (await everything(log)).items() if topic == EVENTS)
            assert await rows(both, "SELECT count(*) AS n FROM events") == [{"n": kept}]
            one = "SELECT count(*) AS n, max(amount) AS most FROM counters.added WHERE record_key = 'counter/3'"
            assert await rows(both, one) == await rows(alone, one)
            assert await rows(both, "SELECT count(DISTINCT envelope.id) = count(*) AS whole FROM counters.added") == [
                {"whole": True}
            ]
        await log.close()

    asyncio.run(main())


def test_a_file_of_the_archive_that_was_cut_short_is_named(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db", 10)
        archive = await run_archive(tmp_path / "archive", log)
        path = archive.path(archive.files(EVENTS, "counters.Added")[0])
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(HmsError, match=f"{path.name}.*hms archive verify"):
            async with Session(History(log, archive), archive, SMALL) as session:
                await rows(session, ADDED)
        await log.close()

    asyncio.run(main())


def test_what_the_log_has_deleted_is_answered_from_the_archive_and_the_session_sees_it_grow(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db")
        archive = await run_archive(tmp_path / "archive", log)
        halves = [(await log.watermarks(EVENTS, shard)).stable // 2 for shard in range(log.partitions)]
        async with Session(History(log, archive), archive, SMALL) as session:
            sql = "SELECT count(*) AS n, sum(amount)::BIGINT AS sum FROM counters.added"
            assert await rows(session, sql) == [{"n": 60, "sum": sum(range(60))}]
            await count(log, 10)
            found = await rows(session, sql)
            assert found == [{"n": 70, "sum": sum(range(60)) + sum(range(10))}]
            for shard, half in enumerate(halves):
                await log.trim(EVENTS, shard, half)
            assert await rows(session, sql) == found
            await run_archive(tmp_path / "archive", log)
            assert await rows(session, sql) == found
        await log.close()

    asyncio.run(main())


def test_history_that_is_nowhere_is_an_error_and_no_short_answer(tmp_path: Path) -> None:
    async def main() -> None:
        log = await filled(tmp_path / "log.db")
        archive = await run_archive(tmp_path / "archive", log)
        await count(log, 30)
        for shard in range(log.partitions):
            await log.trim(EVENTS, shard, (await log.watermarks(EVENTS, shard)).stable)
        async with Session(History(log, archive), archive, SMALL) as session:
            with pytest.raises(PositionTrimmed, match="neither in the log nor in the archive"):
                await rows(session, ADDED)
        await log.close()

    asyncio.run(main())
