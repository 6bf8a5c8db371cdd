"""Twenty clients of a bank and of list-append registers: what they want, what they were told, and when.

Each client does one thing after the other, and insists on it under one id until it knows that it arrived. Instants are those of
the monotonic clock of the one process that all clients live in, so "answered before the other one was asked" is a fact.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from hms.core.address import Address
from hms.core.client import Client, connect
from hms.core.decision import PRIORITIES, Priority
from hms.core.errors import AskTimedOut, OutsideError, Refused
from hms.core.log.port import Log
from hms.core.testing.simulation.cast import Append, Deposit, Transfer, account, register
from hms.core.testing.simulation.operations import Operation

CLIENTS = 20
ACCOUNTS = ("anna", "ben", "cleo", "dora", "emil", "fay", "closed")
REGISTERS = tuple(f"r{number}" for number in range(8))
OPENING_CENTS = 5_000
ASK_MS = 3_000
RETRY_S = 0.05
OPERATIONS_MAX = 999
"""Of one client: a register's order is checked by names of three digits."""


@dataclass
class Timed(Operation):
    """An operation with the instants of its first request and of the response, in nanoseconds; 0: none yet."""

    invoked_ns: int = 0
    responded_ns: int = 0
    tries: int = 0


class Workload:
    """The clients on a log; `run` drives them until `stop`, and returns when each knows that its last wish arrived."""

    def __init__(self, log: Log, seed: int, pause_s: float) -> None:
        self.operations: list[Timed] = []
        self.answered = 0
        self.longest_s = 0.0
        """The longest that any client waited for one thing, retries included."""
        self._log = log
        self._seed = seed
        self._pause_s = pause_s
        self._ending = asyncio.Event()
        self._progress = asyncio.Event()

    async def run(self) -> None:
        """Let every client have its way until `stop`."""
        async with _clients(self._log) as clients:
            await asyncio.gather(*(self._open_account(clients[0], key) for key in ACCOUNTS[:-1]))
            await asyncio.gather(*(self._live(client, number) for number, client in enumerate(clients)))

    def stop(self) -> None:
        """Let every client end with what it is doing."""
        self._ending.set()

    async def wait_answered(self, more: int, seconds: float = 150) -> None:
        """Wait until so many more wishes have arrived."""
        enough = self.answered + more
        async with asyncio.timeout(seconds):
            while self.answered < enough:
                self._progress.clear()
                await self._progress.wait()

    async def _open_account(self, client: Client, key: str) -> None:
        opening = Timed(client.source, 0, f"open-{key}", account(key), Deposit(cents=OPENING_CENTS), True, "normal")
        await self._insist(client, opening)

    async def _live(self, client: Client, number: int) -> None:
        random = Random(f"{self._seed} {number}")  # noqa: S311 - repeatable on purpose
        for wish in range(1, OPERATIONS_MAX + 1):
            if self._ending.is_set():
                return
            to, message = draw_wish(random, client.source, wish)
            id_ = f"{client.source}-{wish}"
            priority: Priority = random.choice(PRIORITIES) if random.random() < 0.2 else "normal"
            operation = Timed(client.source, wish, id_, to, message, random.random() < 0.6, priority)
            await self._insist(client, operation)
            if random.random() < 0.05:  # said twice, as a caller does who is not sure
                await self._attempt(client, operation)
            await asyncio.sleep(random.random() * 2 * self._pause_s)
        raise AssertionError(f"{client.source} did {OPERATIONS_MAX} things and was not stopped")

    async def _insist(self, client: Client, operation: Timed) -> None:
        self.operations.append(operation)
        operation.invoked_ns = time.monotonic_ns()
        while not await self._attempt(client, operation):  # noqa: ASYNC110 - the log is away
            await asyncio.sleep(RETRY_S)
        operation.responded_ns = time.monotonic_ns()
        operation.acknowledged = True
        self.answered += 1
        self.longest_s = max(self.longest_s, (operation.responded_ns - operation.invoked_ns) / 1e9)
        self._progress.set()

    async def _attempt(self, client: Client, wish: Timed) -> bool:
        """Try once; return whether it arrived. An answer must be the one that was given before, if one was."""
        message: Any = wish.message
        wish.tries += 1
        try:
            if wish.asks:
                answer = await client.ask(wish.to, message, id=wish.id, timeout_ms=ASK_MS, priority=wish.priority)
                assert wish.answer in {None, answer}, f"{wish.id} was answered {wish.answer!r}, then {answer!r}"
                wish.answer = answer
            else:
                await client.tell(wish.to, message, id=wish.id, priority=wish.priority, timeout_ms=ASK_MS)
        except Refused as refused:
            wish.refused = refused.refusal_code
        except (OutsideError, AskTimedOut):
            return False
        return True


def draw_wish(random: Random, source: str, number: int) -> tuple[Address[Any], Any]:
    """Draw a transfer, or something to add to a register, which may ask another one to add it too."""
    if random.random() < 0.5:
        payer, payee = random.sample(ACCOUNTS, 2)
        return account(payer), Transfer(cents=random.randint(1, 400), to=payee)
    relay = random.choice(REGISTERS) if random.random() < 0.3 else ""
    return register(random.choice(REGISTERS)), Append(operation=f"{source}:{number:03}", relay_to=relay)


@asynccontextmanager
async def _clients(log: Log) -> AsyncIterator[list[Client]]:
    async with AsyncExitStack() as stack:
        connecting = (stack.enter_async_context(connect(log, name=f"c{number}")) for number in range(CLIENTS))
        yield [await one for one in connecting]
