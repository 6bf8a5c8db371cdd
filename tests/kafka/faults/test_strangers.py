"""Messages of strangers in the inboxes: strays, garbage, giants; and a transaction that somebody leaves open."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from confluent_kafka import Producer

from hms.core.client import Client, connect
from hms.core.errors import OutsideError
from hms.core.log.port import LANES, NORMAL
from hms.core.runtime import verdict as verdicts
from hms.core.testing.simulation.cast import Beat, watchdog
from hms.core.testing.simulation.evidence import Evidence
from hms.schemas import partition_of

from ..fixtures import Server
from .intensity import SEED, drawn, many
from .stranger import Stranger, message
from .trial import PARTITIONS, Trial, trial
from .workload import REGISTERS

ROUNDS = many(15, 100)
HANGS_MS = many(6_000, 20_000)
"""Under what a shard waits for a lane: after 30 s its timers fire without it, and that is said."""
GIANT_BYTES = 1_000_000


async def write_all_kinds(stranger: Stranger, random: Random, number: int) -> None:
    """Write one of each kind."""
    key, value, headers = message(number, random.choice(REGISTERS))
    right = partition_of(key.decode(), PARTITIONS)
    stranger.write("default partitioner", key, value, headers)
    key, value, headers = message(number + 1, random.choice(REGISTERS))
    stranger.write("no headers", key, value)
    stranger.write("unknown schema", key, b"\0\1\2\3\4" + value[5:], headers, right)
    stranger.write("wrong headers", key, value, [("ce_id", b"another")], right)
    stranger.write("garbage", key, random.randbytes(random.randrange(1, 200)), partition=right)
    stranger.write("nothing", key, None, partition=right)
    stranger.write("null key", None, value, headers, right)
    stranger.write("key that is no text", b"\xff\xfe", value, headers, right)
    await stranger.write_header_that_is_no_text(*message(number + 2, REGISTERS[0])[:2], random.randrange(PARTITIONS))
    if number % 5 == 0:
        stranger.write("1 MB", key, random.randbytes(GIANT_BYTES), partition=right)
    await stranger.flush()


@pytest.mark.timeout(400)
def test_messages_of_strangers_are_handled_forwarded_or_buried_and_stop_nothing(
    kafka: Server, tmp_path: Path, saw: Callable[[str], None]
) -> None:
    random = drawn()
    counts: dict[str, int] = {}

    async def strange(run: Trial) -> None:
        stranger = Stranger(run.url)
        for number in range(0, 3 * ROUNDS, 3):
            await run.load.wait_answered(10)
            await write_all_kinds(stranger, random, number)
        run.written += stranger.written

    def look(evidence: Evidence) -> None:
        given = [given for _, _, given in evidence.inputs()]
        by_id = {one["id"] for one in given if one["source"] == "client/stranger"}
        assert by_id == {f"stranger-{number}" for number in range(3 * ROUNDS)}, "expected all that was right to count"
        for verdict in (verdicts.FORWARDED, verdicts.MALFORMED):
            counts[verdict] = sum(one["verdict"] == verdict for one in given)
            assert counts[verdict], f"expected some to be {verdict}"
        counts["dead letters"] = len(evidence.dead_letters)
        counts["of them by hash"] = sum(letter.value is None for letter in evidence.dead_letters)
        assert counts["of them by hash"] > 0

    seen = asyncio.run(trial(tmp_path, kafka.bootstrap, SEED, strange, pause_s=0.05, look=look))
    saw(f"{ROUNDS} rounds of strangers' messages: {counts}; {seen}")


@pytest.mark.timeout(400)
def test_a_hung_transaction_of_a_stranger_in_an_inbox_delays_and_nobody_is_judged_silent_for_it(
    kafka: Server, tmp_path: Path, saw: Callable[[str], None]
) -> None:
    hung_s: list[float] = []

    async def hanging(run: Trial) -> None:
        await run.load.wait_answered(100)
        dog = watchdog("w0")
        lane = partition_of(dog.id, PARTITIONS)
        stranger = Producer(
            {"bootstrap.servers": kafka.bootstrap, "transactional.id": f"{run.prefix}-stranger", "log_level": 0}
            | {"transaction.timeout.ms": HANGS_MS}
        )
        async with connect(run.log, name="beater") as client:
            await beat(client, "before")
            await asyncio.to_thread(stranger.init_transactions, 60)
            stranger.begin_transaction()
            stranger.produce(f"{run.prefix}.{NORMAL.removeprefix('hms.')}", b"hangs", b"x", partition=lane)
            await asyncio.to_thread(stranger.flush, 20)  # and neither commits nor aborts
            began = time.monotonic()
            number = 0
            while (await run.log.watermarks(LANES[2], lane)).stable < (await run.log.watermarks(LANES[2], lane)).high:
                await beat(client, f"{number}")
                number += 1
                assert time.monotonic() - began < HANGS_MS / 1_000 + 30, "expected the broker to end the transaction"
            hung_s.append(time.monotonic() - began)
            await beat(client, "last", last=True)
        await run.load.wait_answered(100)

    seen = asyncio.run(trial(tmp_path, kafka.bootstrap, SEED, hanging, pause_s=0.05))
    saw(f"a transaction hung in a lane for {hung_s[0]:.1f} s; {seen}")


async def beat(client: Client, number: str, *, last: bool = False) -> None:
    """Tell the watchdog that something lives; the watchdog calls 150 ms without it silence."""
    while True:
        try:
            await client.tell(watchdog("w0"), Beat(last=last), id=f"beat-{number}")
            await asyncio.sleep(0.05)
        except OutsideError:
            continue
        else:
            return
