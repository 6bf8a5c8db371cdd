"""The world that effects act upon: it remembers every call, and refuses tokens lower than one it has seen."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from ...behaviour import Effect


class Call(NamedTuple):
    """One call that reached the far side and was taken."""

    actor: str
    token: int
    effect: str
    attempt: int
    parcel: str


class Begun(NamedTuple):
    """A handler that has begun, and where the log of its actor's events ended then."""

    actor: str
    parcel: str
    log_end: int


class TokenRefused(Exception):
    """Somebody acted late: a newer effect of that actor has been seen already."""


class FarSide:
    """Takes parcels; slow, sometimes in trouble, and fenced by tokens."""

    def __init__(self, random: Random, log_end_of: Callable[[str], int], delay_ms_max: int = 20) -> None:
        self.begun: list[Begun] = []
        self.calls: list[Call] = []
        self.refused: list[Call] = []
        self._random = random
        self._log_end_of = log_end_of
        self._delay_ms_max = delay_ms_max
        self._tokens: dict[str, int] = {}

    async def deliver(self, effect: Effect, parcel: str, troubles: int) -> None:
        """Take a parcel. Raises `ConnectionError` (try again), `ValueError` (never), `TokenRefused`."""
        self.begun.append(Begun(effect.actor, parcel, self._log_end_of(effect.actor)))
        await asyncio.sleep(self._random.randint(0, self._delay_ms_max) / 1_000)
        call = Call(effect.actor, effect.token, effect.id, effect.attempt, parcel)
        if effect.token < self._tokens.get(effect.actor, 0):
            self.refused.append(call)
            raise TokenRefused(f"{effect.actor}: token {effect.token}, seen {self._tokens[effect.actor]}")
        self._tokens[effect.actor] = effect.token
        self.calls.append(call)
        if troubles < 0:
            raise ValueError("no such place")
        if effect.attempt <= troubles:
            raise ConnectionError("in trouble")
        await asyncio.sleep(self._random.randint(0, self._delay_ms_max) / 1_000)
