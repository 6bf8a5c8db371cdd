"""The promises on the embedded log, with real processes: two nodes under load, one after the other killed with SIGKILL.

Clients of this process insist on what they want until they know that it arrived; a node dies whenever a drawn number of
their wishes has arrived. In the end everything is killed, and the file is all there is.
"""

import asyncio
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hms.core.client import Client, connect
from hms.core.errors import AskTimedOut, OutsideError, Refused
from hms.core.log.port import EVENTS, LANES, Log
from hms.core.log.sqlite import SqliteLog
from hms.core.runtime.history import LogHistory
from hms.core.runtime.restore import ShardMemory, restore
from hms.core.testing.simulation.acts import effects_act_after_the_commit, timers_are_exact
from hms.core.testing.simulation.cast import behaviours
from hms.core.testing.simulation.evidence import Evidence, Witnesses
from hms.core.testing.simulation.far_side import Begun, Call
from hms.core.testing.simulation.operations import Operation, draw_operation
from hms.core.testing.simulation.promises import (
    acknowledged_means_durable,
    at_most_once,
    bad_input_is_refused_or_buried,
    fenced_records_are_never_visible,
    replay_is_exact,
    state_is_the_fold,
)

CHILD = Path(__file__).with_name("cast_node.py")
CLIENTS, WISHES, DEATHS = 6, 60, 14

pytestmark = pytest.mark.timeout(300)


def child() -> Any:
    """Return the child's module: this process opens the same log with the same options."""
    spec = importlib.util.spec_from_file_location("cast_node", CHILD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Nodes:
    """Two node processes; `kill` ends one with SIGKILL and starts it again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = {name: self._start(name) for name in ("n0", "n1")}
        self.deaths = 0

    def up(self) -> list[str]:
        """Return those that own shards."""
        return [name for name in self._running if self._mark(name).exists()]

    def _mark(self, name: str) -> Path:
        return self._folder / f"{name}.up"

    def _start(self, name: str) -> "subprocess.Popen[bytes]":
        self._mark(name).unlink(missing_ok=True)
        with (self._folder / f"{name}.err").open("ab") as errors:
            return subprocess.Popen([sys.executable, str(CHILD), str(self._folder), name], stderr=errors)

    def kill(self, name: str) -> None:
        self._running[name].kill()
        self._running[name].wait()
        self.deaths += 1
        self._running[name] = self._start(name)

    def end(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()


@contextmanager
def nodes(folder: Path) -> Iterator[Nodes]:
    running = Nodes(folder)
    try:
        yield running
    finally:
        running.end()


class Load:
    """What the clients want, and the deaths on the way."""

    def __init__(self, running: Nodes) -> None:
        self.operations: list[Operation] = []
        self._running = running
        self._random = Random(4)  # noqa: S311 - repeatable on purpose
        self._until_death = 20

    async def want(self, client: Client, number: int) -> None:
        random = Random(number)  # noqa: S311
        for wish in count():
            if wish >= WISHES and self._running.deaths >= DEATHS:
                return
            operation = draw_operation(random, client.source, wish, client._clock.wall_us())
            self.operations.append(operation)
            await insist(client, operation)
            if random.random() < 0.1:
                await insist(client, operation)
            self._count()

    def _count(self) -> None:
        self._until_death -= 1
        up = self._running.up() if self._until_death <= 0 and self._running.deaths < DEATHS else []
        if up:
            self._until_death = self._random.randint(2, 60)
            self._running.kill(self._random.choice(up))


async def insist(client: Client, wish: Operation) -> None:
    while not await arrived(client, wish):
        continue


async def arrived(client: Client, wish: Operation) -> bool:
    message: Any = wish.message
    try:
        if wish.asks:
            wish.answer = await client.ask(wish.to, message, id=wish.id, timeout_ms=1_000, priority=wish.priority)
        else:
            await client.tell(wish.to, message, id=wish.id, priority=wish.priority)
    except Refused as refused:
        wish.refused = refused.refusal_code
    except (OutsideError, AskTimedOut):
        return False
    wish.acknowledged = True
    return True


async def memories(log: Log, options: Any) -> dict[int, ShardMemory]:
    history = LogHistory(log)
    return {shard: await restore(log, shard, behaviours(), options, history) for shard in range(log.partitions)}


async def settled(log: Log, options: Any) -> bool:
    """Tell whether everything in the lanes is consumed, and no timer or effect is left to do."""
    for shard, memory in (await memories(log, options)).items():
        marks = [await log.watermarks(topic, shard) for topic in LANES]
        if any(position < mark.high for position, mark in zip(memory.head.positions, marks, strict=True)):
            return False
        cells = [memory.actors.get(address) for address in memory.actors.addresses()]
        if any(cell is not None and (cell.timers or cell.effects) for cell in cells):
            return False
    return True


async def storm(folder: Path, module: Any) -> list[Operation]:
    """Let the clients have their way while nodes die; return what they wanted when all is settled."""
    log = await SqliteLog.open(folder / "log.db", partitions=module.PARTITIONS, times=module.TIMES)
    try:
        with nodes(folder) as running:
            load = Load(running)
            await asyncio.gather(*(one_client(log, load, number) for number in range(CLIENTS)))
            assert running.deaths == DEATHS
            async with asyncio.timeout(120):
                while not await settled(log, module.OPTIONS):
                    await log.wait({(EVENTS, 0): (await log.watermarks(EVENTS, 0)).high}, 100)
    finally:
        await log.close()
    return load.operations


async def one_client(log: Log, load: Load, number: int) -> None:
    async with connect(log, name=f"c{number}") as client:
        await load.want(client, number)


async def judged(folder: Path, operations: list[Operation], module: Any) -> dict[str, list[str]]:
    """Hold the promises against the file."""
    log = await SqliteLog.open(folder / "log.db", times=module.TIMES)
    try:
        lines = [line.split() for line in (folder / "calls").read_text().splitlines()]
        calls = [
            Call(actor, int(token), effect, int(tries), parcel) for actor, token, effect, tries, parcel, _ in lines
        ]
        begun = [Begun(line[0], line[4], int(line[5])) for line in lines]
        living = await memories(log, module.OPTIONS)
        evidence = await Evidence(log, module.OPTIONS, Witnesses(operations, begun, calls), living).gather()
        before = await evidence.ends()
        broken = {check.__name__: list(check(evidence)) for check in CHECKS}
        broken["state_is_the_fold"] = await state_is_the_fold(evidence)
        broken["replay_is_exact"] = await replay_is_exact(evidence)
        broken["written"] = [] if await evidence.ends() == before else ["a replay wrote something"]
    finally:
        await log.close()
    return broken


CHECKS = (
    acknowledged_means_durable,
    at_most_once,
    fenced_records_are_never_visible,
    bad_input_is_refused_or_buried,
    timers_are_exact,
    effects_act_after_the_commit,
)


@cache
def broken() -> dict[str, list[str]]:
    """Return what broke of each promise, once for all tests."""
    module = child()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        operations = asyncio.run(storm(folder, module))
        return asyncio.run(judged(folder, operations, module))


def holds(name: str) -> None:
    lines = broken()[name]
    assert not lines, f"{len(lines)} times:\n" + "\n".join(line[:1_000] for line in lines[:5])


def test_promise_1_acknowledged_means_durable() -> None:
    holds("acknowledged_means_durable")


def test_promise_2_each_message_changes_each_actor_at_most_once() -> None:
    holds("at_most_once")


def test_promise_3_fenced_records_are_never_visible() -> None:
    holds("fenced_records_are_never_visible")


def test_promise_4_state_is_the_fold() -> None:
    holds("state_is_the_fold")


def test_promise_5_replay_is_exact() -> None:
    holds("replay_is_exact")


def test_promise_6_bad_input_is_refused_or_dead_lettered_and_stops_nothing() -> None:
    holds("bad_input_is_refused_or_buried")


def test_promise_8_nothing_is_written_by_a_replay() -> None:
    holds("written")


def test_timers_are_neither_lost_nor_doubled_nor_early() -> None:
    holds("timers_are_exact")


def test_effects_act_at_least_once_after_the_commit_under_growing_tokens() -> None:
    holds("effects_act_after_the_commit")
