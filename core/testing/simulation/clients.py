"""The clients of a simulated world: they want things, insist, and sometimes say them twice; and an intruder."""

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

from ....schemas import Contract, Envelope, headers_for, new_id, partition_of
from ...client import Client
from ...errors import AskTimedOut, OutsideError, Refused
from ...log.port import LANES, Draft
from ...runtime.records import RUNTIME_RECORDS
from .cast import Append, app, register
from .operations import Operation, draw_operation
from .plan import DUPLICATE, MALFORMED, POISON, STRAY, TOO_OLD

if TYPE_CHECKING:
    from .world import World

ASK_TIMEOUT_MS = 400
RETRY_S = 0.03
DAY_US = 24 * 3_600_000_000
_types: list[Contract] = []


def types() -> Contract:
    """Return the contract that all simulated clients share: making one takes longer than a run."""
    if not _types:
        contract = Contract()
        for record in RUNTIME_RECORDS:
            contract.register(record, str(record.explicit_type))
        app.register(contract)
        _types.append(contract)
    return _types[0]


class ClientProcess:
    """One client: one operation after the other, each until it is known to have arrived."""

    def __init__(self, world: "World", number: int) -> None:
        self.name = f"c{number}"
        self.operations: list[Operation] = []
        self._world = world
        self._random = Random(f"{self.name} {world.plan.seed}")  # noqa: S311 - a simulation, not a secret
        self._log = world.broker.connect(self.name)
        self._client = Client(self._log, self.name, world.clock, random=self._random.randbytes, contract=types())

    async def run(self) -> None:
        """Do everything there is to do."""
        await self._insist(self._client.start)
        for number in range(self._world.plan.operations):
            operation = draw_operation(self._random, self._client.source, number, self._world.clock.wall_us())
            self._alter(operation)
            self.operations.append(operation)
            await self._insist(lambda wish=operation: self._do(wish))
            operation.acknowledged = True
            self._world.note(self.name, f"{operation.id} to {operation.to.id} arrived: {operation.refused or 'ok'}")
            if self._random.random() < 0.15:  # noqa: PLR2004
                self._world.struck[DUPLICATE] += 1
                await self._insist(lambda wish=operation: self._do(wish))
            await asyncio.sleep(self._random.choice((0, 0, 0.01, 0.1)))

    def _alter(self, operation: Operation) -> None:
        """Make some of the operations ones that come too late."""
        chance = self._random.random()
        if chance < 0.02:  # noqa: PLR2004
            operation.id = new_id(self._world.clock.wall_us() - 2 * DAY_US, self._random.randbytes)
            self._world.struck[TOO_OLD] += 1
        elif chance < 0.06 and not operation.asks:  # noqa: PLR2004
            operation.ttl_ms = self._random.choice((0, 1, 20))
        if type(operation.message).__name__ in ("Boom", "Corrupt"):
            self._world.struck[POISON] += 1

    async def _do(self, wish: Operation) -> None:
        try:
            if wish.asks:
                message: Any = wish.message
                wish.answer = await self._client.ask(
                    wish.to, message, id=wish.id, timeout_ms=ASK_TIMEOUT_MS, priority=wish.priority
                )
            else:
                await self._client.tell(wish.to, wish.message, id=wish.id, priority=wish.priority, ttl_ms=wish.ttl_ms)
        except Refused as refused:
            wish.refused = refused.refusal_code

    async def _insist(self, attempt: Any) -> None:
        while True:
            try:
                await attempt()
            except (OutsideError, AskTimedOut) as error:
                self._world.note(self.name, f"tries again: {error}")
                await asyncio.sleep(RETRY_S)
            else:
                return


class Intruder:
    """Writes what no client of ours would: garbage, strays, lies in headers, other people's schemas."""

    def __init__(self, world: "World") -> None:
        self.written: list[tuple[str, int, int, str]] = []
        """(topic, partition, offset, kind) of what was written."""
        self._world = world
        self._random = Random(f"intruder {world.plan.seed}")  # noqa: S311 - a simulation, not a secret

    async def run(self) -> None:
        """Write a few of them."""
        for number in range(self._random.choice((0, 1, 2, 4))):
            await asyncio.sleep(self._random.randint(0, 300) / 1_000)
            kind, draft = self._draw(number)
            offset = self._world.broker.produce([draft])[0]
            self.written.append((draft.topic, draft.partition, offset, kind))
            self._world.struck[STRAY if kind == STRAY else MALFORMED] += 1
            self._world.note("intruder", f"wrote {kind} to {draft.topic}/{draft.partition}@{offset}")

    def _draw(self, number: int) -> tuple[str, Draft]:
        topic = self._random.choice(LANES)
        partitions = self._world.plan.partitions
        value, key, headers = self._message(number)
        right = partition_of(key, partitions)
        kind = self._random.choice(("garbage", "cut", "unknown schema", "wrong headers", "wrong key", STRAY))
        match kind:
            case "garbage":
                return kind, Draft(topic, right, key, self._random.randbytes(self._random.randrange(40)))
            case "cut":
                return kind, Draft(topic, right, key, value[: self._random.randrange(len(value))])
            case "unknown schema":
                return kind, Draft(topic, right, key, b"\0\1\2\3\4" + value[5:])
            case "wrong headers":
                return kind, Draft(topic, right, key, value, (("ce_id", b"another"), *headers[2:]))
            case "wrong key":
                return kind, Draft(topic, right, b"account/somebody", value, headers)
            case _:
                return kind, Draft(topic, self._random.randrange(partitions), key, value, headers)

    def _message(self, number: int) -> tuple[bytes, bytes, Any]:
        record_type = types().of(Append)
        to = register(f"r{self._random.randrange(2)}").id
        now_us = self._world.clock.wall_us()
        id_ = f"intruder-{number}"
        envelope = Envelope(id_, "client/intruder", to, record_type.name, now_us, id_)
        record = Append(operation=f"client/intruder:{number:03}")
        return record_type.encode(record, envelope), to.encode(), headers_for(envelope)
