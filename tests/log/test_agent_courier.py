"""The courier: in order, once, and later when the log is away; on the simulated log and on disk."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from hms.actors.agent.agent import TYPES
from hms.actors.agent.binding import LogBoundElsewhere, bind
from hms.actors.agent.courier import Courier, Parcel
from hms.actors.agent.position import Position
from hms.actors.agent.reports import report, report_id
from hms.actors.agent.spool import Spool
from hms.actors.host import Fact, LivenessFailed, StartFailed
from hms.core.errors import LogUnreachable
from hms.core.log.open import open_log
from hms.core.log.port import HIGH, OUTBOX, Draft, Log
from hms.core.runtime.schema_store import SchemaStore
from hms.schemas import Contract, partition_of


class Closing:
    """A log with a door: while it is closed, nothing gets in."""

    def __init__(self, log: Log) -> None:
        self.open = True
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def append(self, drafts: Sequence[Draft]) -> list[int]:
        if not self.open:
            raise LogUnreachable("the door is closed")
        return await self._log.append(drafts)


class Desk:
    """A courier over a log with a door, and what it said."""

    def __init__(self, log: Log, folder: Path) -> None:
        self.log = Closing(log)
        self.contract = Contract()
        for cls in TYPES:
            self.contract.register(cls, f"hms.{cls.__name__}")
        self.said: list[str] = []
        self.delivered: list[Fact] = []
        self.spool = Spool(folder / "spool.jsonl")
        self.courier = self.courier_of(self.spool)

    def courier_of(self, spool: Spool) -> Courier:
        return Courier(
            "agent/here",
            spool,
            on_away=lambda: self.said.append("away"),
            on_back=lambda: self.said.append("back"),
            on_delivered=self.delivered.append,
        )

    async def start(self) -> None:
        schemas = SchemaStore(self.log._log, self.contract)
        await schemas.publish()
        self.courier.start(self.log, schemas)  # type: ignore[arg-type]

    async def reasons(self) -> list[str]:
        read = await self.log.read(HIGH, partition_of("component/web", self.log.partitions), 0)
        return [self.contract.decode(stored.value).record.reason for stored in read.records]


def failed(number: int, reason: str, *, session: int = 1) -> StartFailed:
    return StartFailed(
        host="here",
        component="web",
        incarnation=number,
        attempt=0,
        session=session,
        sequence=number,
        at=1,
        reason=reason,
    )


def parcel(fact: Fact) -> Parcel:
    return Parcel(report_id(fact), "component/web", report(fact), 1, fact=fact)


def run(folder: Path, work: Callable[[Desk], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        desk = Desk(log, folder)
        try:
            await work(desk)
        finally:
            await desk.courier.close()
            await log.close()

    asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - conditions of several kinds, polled
            await asyncio.sleep(0.005)


def test_parcels_are_delivered_in_their_order_and_said_to_be(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        await desk.start()
        for number in (1, 2, 3):
            desk.courier.put(parcel(failed(number, str(number))))
        assert await desk.courier.wait_idle(30)
        assert await desk.reasons() == ["1", "2", "3"]
        assert [fact.incarnation for fact in desk.delivered] == [1, 2, 3]

    run(tmp_path, work)


def test_while_the_log_is_away_facts_are_kept_on_disk_and_delivered_later_in_order(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        await desk.start()
        desk.log.open = False
        desk.courier.put(parcel(failed(1, "first")))
        await until(lambda: desk.said == ["away"])
        desk.courier.put(parcel(failed(2, "second")))
        assert [fact.incarnation for fact in desk.spool.load()] == [1, 2]
        desk.log.open = True
        assert await desk.courier.wait_idle(30)
        assert await desk.reasons() == ["first", "second"]
        assert desk.said == ["away", "back"]
        assert desk.spool.load() == []

    run(tmp_path, work)


def test_what_an_agent_could_not_deliver_is_delivered_by_the_next_one_as_it_was_told(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        await desk.start()
        desk.log.open = False
        desk.courier.put(parcel(failed(1, "told")))
        await until(lambda: desk.said == ["away"])
        await desk.courier.close()
        desk.courier = desk.courier_of(desk.spool)
        for fact in desk.spool.load():
            desk.courier.put(parcel(fact))
        desk.courier.put(parcel(failed(1, "found at adoption", session=2)))
        desk.log.open = True
        await desk.start()
        assert await desk.courier.wait_idle(30)
        assert await desk.reasons() == ["told"]

    run(tmp_path, work)


def test_a_newer_word_of_the_same_agent_takes_the_place_of_the_one_that_waits(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        for number, reason in ((1, "old"), (2, "other"), (1, "new")):
            desk.courier.put(parcel(failed(number, reason)))
        await desk.start()
        assert await desk.courier.wait_idle(30)
        assert await desk.reasons() == ["new", "other"]

    run(tmp_path, work)


def test_a_line_that_was_cut_short_loses_no_other(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.jsonl")
    spool.keep(failed(1, "whole"), LivenessFailed(**failed(2, "").model_dump(exclude={"restarting"}) | {"reason": "x"}))
    with (tmp_path / "spool.jsonl").open("a") as file:
        file.write('["StartFailed", {"host": "he')
    assert [type(fact).__name__ for fact in spool.load()] == ["StartFailed", "LivenessFailed"]


def test_a_spool_on_a_full_disk_says_so_and_raises_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "spool.jsonl").mkdir()
    Spool(tmp_path / "spool.jsonl").keep(failed(1, "lost"))
    assert "spool_not_written" in capsys.readouterr().out


def test_a_log_is_bound_to_the_first_fleet_and_host_and_refuses_all_others() -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        first = await bind(log, "shop", "here")
        assert await bind(log, "shop", "here") == first
        with pytest.raises(LogBoundElsewhere, match="holds the fleet 'shop', expected 'bazaar'"):
            await bind(log, "bazaar", "here")
        with pytest.raises(LogBoundElsewhere, match="bound to the host here, this one is there"):
            await bind(log, "shop", "there")
        await log.close()

    asyncio.run(main())


def test_a_position_is_of_one_log_and_another_log_is_read_from_its_beginning(tmp_path: Path) -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        partition = partition_of("agent/here", log.partitions)
        await log.append([Draft(OUTBOX, partition, b"agent/here", b"value")] * 3)
        position = Position(tmp_path / "outbox.json", "this")
        begin = await position.start(log, "agent/here")
        position.reach(begin + 2)
        position.save()
        assert await Position(tmp_path / "outbox.json", "this").start(log, "agent/here") == begin + 2
        assert await Position(tmp_path / "outbox.json", "other").start(log, "agent/here") == begin
        await log.close()

    asyncio.run(main())


def test_after_an_older_log_was_restored_all_of_its_commands_are_read_again(tmp_path: Path) -> None:
    async def main() -> None:
        log = await open_log("simulated:")
        partition = partition_of("agent/here", log.partitions)
        await log.append([Draft(OUTBOX, partition, b"agent/here", b"value")] * 3)
        bounds = await log.watermarks(OUTBOX, partition)
        for reached, begin in ((bounds.high, bounds.high), (bounds.high + 1, bounds.start)):
            position = Position(tmp_path / "outbox.json", "this")
            position.reach(reached)
            position.save()
            assert await Position(tmp_path / "outbox.json", "this").start(log, "agent/here") == begin
        await log.close()

    asyncio.run(main())
