"""Shards as operators see them: whose they are, what waits in them, and what is wrong with them."""

import asyncio

from hms.console.cli.doctor.kafka.strays import stray_check
from hms.console.cli.doctor.log import log_checks
from hms.console.cli.node_item import node_item
from hms.console.cli.shard_item import shard_item, shard_items
from hms.core.log.port import HIGH, LOW, Draft, NodeInfo
from hms.core.log.simulated import SimulatedBroker
from hms.core.runtime.commit_record import START, commit_draft
from hms.core.runtime.records import Commit
from hms.core.runtime.wire import Pen
from hms.schemas import Contract, partition_of

NOW_US = 1_800_000_000_000_000
NODES = [NodeInfo("n1", frozenset({0, 1}), 0, alive=True), NodeInfo("gone", frozenset({2}), 0, alive=False)]


def message(lane: str, shard: int) -> Draft:
    return Draft(lane, shard, b"component/web", b"value")


def commit(shard: int, positions: tuple[int, ...], attempting: tuple[int, ...] = ()) -> Draft:
    contract = Contract()
    contract.register(Commit, str(Commit.explicit_type))
    return commit_draft(
        contract,
        Pen(shard, 4, contract, 1_000_000, NOW_US),
        START,
        shard=shard,
        epoch=7,
        code_version="c",
        now_us=NOW_US,
        inputs=[],
        positions=positions,
        read=[],
        sent=[],
        attempting=attempting,
    )


def test_a_shard_has_an_owner_a_last_commit_and_what_waits_in_each_lane() -> None:
    async def main() -> None:
        log = SimulatedBroker(4).connect("cli")
        await log.append([message(LOW, 1) for _ in range(7)] + [message(HIGH, 1)])
        writer = await log.open_writer(1, "n1")
        await writer.commit([commit(1, (0, 0, 0, 5))])
        (item,) = await shard_items(log, [1], NODES)
        assert item == {
            "shard": 1,
            "owner": "n1",
            "epoch": 7,
            "sequence": 0,
            "committed_at": "2027-01-15T08:00:00.000000Z",
            "lag": {"critical": 0, "high": 1, "normal": 0, "low": 2},
            "state": "owned",
        }

    asyncio.run(main())


def test_a_shard_of_a_dead_node_and_one_of_nobody_are_orphaned() -> None:
    async def main() -> None:
        log = SimulatedBroker(4).connect("cli")
        items = await shard_items(log, range(4), NODES)
        assert [(item["owner"], item["state"]) for item in items] == [
            ("n1", "owned"),
            ("n1", "owned"),
            (None, "orphaned"),
            (None, "orphaned"),
        ]
        assert (await shard_item(log, 2, NODES))["sequence"] is None

    asyncio.run(main())


def test_a_shard_that_takes_one_message_at_a_time_is_careful() -> None:
    async def main() -> None:
        log = SimulatedBroker(4).connect("cli")
        writer = await log.open_writer(0, "n1")
        await writer.commit([commit(0, (0, 0, 0, 0), attempting=(2, 4, 0, 1))])
        assert [item["state"] for item in await shard_items(log, [0], NODES)] == ["careful"]

    asyncio.run(main())


def test_more_than_is_counted_is_estimated_by_offsets() -> None:
    async def main() -> None:
        log = SimulatedBroker(4).connect("cli")
        await log.append([message(LOW, 0) for _ in range(1_700)])
        assert (await shard_items(log, [0], NODES))[0]["lag"]["low"] == 1_700

    asyncio.run(main())


def test_markers_behind_the_last_message_are_no_lag() -> None:
    async def main() -> None:
        log = SimulatedBroker(4).connect("cli")
        writer = await log.open_writer(0, "n1")
        for _ in range(3):
            await writer.commit([message(LOW, 0)])
        await writer.commit([commit(0, (0, 0, 0, 5))])
        marks = await log.watermarks(LOW, 0)
        assert (marks.stable, (await shard_items(log, [0], NODES))[0]["lag"]["low"]) == (6, 0)

    asyncio.run(main())


def test_a_lane_behind_a_transaction_that_hangs_is_blocked_and_one_behind_a_short_one_is_not() -> None:
    async def main() -> None:
        broker = SimulatedBroker(4)
        log = broker.connect("cli")
        broker.produce([message(LOW, 0)], broker.begin(3, timeout_ms=60_000))
        short = broker.begin(1, timeout_ms=60_000)
        broker.produce([message(LOW, 1)], short)
        asked = asyncio.create_task(shard_items(log, [0, 1], NODES))
        while not asked.done() and broker.is_open(short):
            await asyncio.sleep(0.05)
            broker.commit(short)
        assert [item["state"] for item in await asked] == ["blocked", "owned"]

    asyncio.run(main())


def test_a_node_says_when_it_was_last_heard() -> None:
    assert node_item(NODES[0]._replace(seen_us=NOW_US)) == {
        "node": "n1",
        "alive": True,
        "shards": [0, 1],
        "seen_at": "2027-01-15T08:00:00.000000Z",
    }


def test_a_shard_that_has_handled_more_than_its_lane_ever_held_is_lost() -> None:
    async def main() -> None:
        log = SimulatedBroker(4).connect("cli")
        writer = await log.open_writer(0, "n1")
        await writer.commit([commit(0, (0, 0, 0, 9))])
        assert [item["state"] for item in await shard_items(log, [0], NODES)] == ["lost"]
        (check,) = [check for check in await log_checks(log) if check.name == "shards"]
        assert (check.outcome, check.seen) == ("fail", "handled more than a lane ever held: 0")

    asyncio.run(main())


def test_messages_where_their_actors_do_not_live_are_strays_and_what_is_no_address_is_none() -> None:
    async def main() -> None:
        log = SimulatedBroker(4).connect("cli")
        home = partition_of("component/web", 4)
        await log.append([message(LOW, home), Draft(LOW, home, b"\xff/garbage", b"x"), Draft(LOW, home, b"", b"x")])
        assert (await stray_check(log)).outcome == "ok"
        await log.append([message(HIGH, (home + 1) % 4)])
        check = await stray_check(log)
        assert (check.outcome, check.seen) == ("warn", "1 of the newest 2 messages, for component/web")
        assert "murmur2_random" in check.todo

    asyncio.run(main())
