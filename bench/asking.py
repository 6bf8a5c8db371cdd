"""Asking at a steady rate, in an open loop: nobody's slowness keeps the next question back."""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

from counter import Add

from hms import Address
from hms.core.client import Client
from hms.core.errors import HmsError


class Answer(NamedTuple):
    """One question: to which actor, when it was meant to be asked, when answered (monotonic seconds), or what came instead."""

    actor: str
    due: float
    done: float
    failed_by: str = ""

    @property
    def late_ms(self) -> float:
        """From the instant at which it was meant to be asked: a stall is paid by every question that falls into it."""
        return (self.done - self.due) * 1e3


async def ask(client: Client, actor: str, due: float) -> Answer:
    to: Address[Add] = Address(actor)
    try:
        await client.ask(to, Add(amount=1))
    except HmsError as error:
        return Answer(actor, due, time.monotonic(), f"{type(error).__name__}: {error}")
    return Answer(actor, due, time.monotonic())


async def ask_steadily(client: Client, rate: int, actors: int, ended: Callable[[int], bool]) -> list[Answer]:
    """Ask so many times a second, actors in turn, until `ended` of the number of questions asked; return all answers."""
    asked: list[asyncio.Task[Answer]] = []
    started = time.monotonic() + 0.1
    while not ended(len(asked)):
        due = started + len(asked) / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        asked.append(asyncio.create_task(ask(client, f"counter/{len(asked) % actors}", due)))
    return await asyncio.gather(*asked)
