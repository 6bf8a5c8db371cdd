"""What the clients of a simulated world want, and what they were told."""

from dataclasses import dataclass
from random import Random
from typing import Any

from ....schemas import Message, new_id
from ...address import Address
from ...decision import PRIORITIES, Priority
from .cast import (
    Append,
    Beat,
    Boom,
    Corrupt,
    Deposit,
    Fine,
    Ship,
    Transfer,
    account,
    courier,
    faulty,
    register,
    watchdog,
)

ACCOUNTS = ("anna", "ben", "closed")


@dataclass
class Operation:
    """One wish: it is sent again under the same id until it is known to have arrived."""

    source: str
    number: int
    id: str
    to: Address[Any]
    message: Message[Any]
    asks: bool
    priority: Priority
    ttl_ms: int | None = None
    answer: Any = None
    refused: str = ""
    acknowledged: bool = False


def draw_operation(random: Random, source: str, number: int, now_us: int) -> Operation:
    """Draw what a client wants next."""
    to, message, may_ask = _draw_message(random, source, number)
    id_ = f"{source}-{number}" if random.random() < 0.5 else new_id(now_us, random.randbytes)  # noqa: PLR2004
    priority: Priority = random.choice(PRIORITIES) if random.random() < 0.3 else "normal"  # noqa: PLR2004
    return Operation(source, number, id_, to, message, may_ask and random.random() < 0.4, priority)  # noqa: PLR2004


def _draw_message(random: Random, source: str, number: int) -> tuple[Address[Any], Message[Any], bool]:
    kind = random.randrange(12)
    if kind < 2:  # noqa: PLR2004
        return account(random.choice(ACCOUNTS)), Deposit(cents=random.randint(1, 100)), True
    if kind < 5:  # noqa: PLR2004
        return account(random.choice(ACCOUNTS)), Transfer(cents=random.randint(1, 60), to=random.choice(ACCOUNTS)), True
    if kind < 8:  # noqa: PLR2004
        relay = random.choice(("", "", "r0", "r1"))
        return register(f"r{random.randrange(2)}"), Append(operation=f"{source}:{number:03}", relay_to=relay), True
    if kind < 9:  # noqa: PLR2004
        return watchdog(f"w{random.randrange(2)}"), Beat(last=random.random() < 0.2), False  # noqa: PLR2004
    if kind < 11:  # noqa: PLR2004
        troubles = random.choice((0, 0, 1, 2, 5, -1))
        return courier(f"c{random.randrange(2)}"), Ship(parcel=f"{source}:{number:03}", troubles=troubles), False
    return faulty(f"f{random.randrange(2)}"), random.choice((Boom(), Fine(), Fine(), Corrupt())), False
