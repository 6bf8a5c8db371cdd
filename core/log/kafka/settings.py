"""What the log says about itself: the newest value of each key of a compacted topic, changed by compare-and-swap.

Who changes one opens the transactional id that all share: whoever was about to is fenced off, and looks again.
"""

import asyncio
from random import Random
from typing import Final

from ...errors import LogUnreachable, NotAuthorised, OutsideError, WriterFenced
from ..port import Draft
from .answers import Attempts
from .cluster import Cluster
from .encoding import Encoder
from .hung import Survey
from .mending import Mender
from .producing import Producing
from .reader import Reader
from .topics import SETTINGS
from .transactions import Transactions

READ_RECORDS: Final = 1_000
WAIT_MS: Final = 200
HIDDEN_S: Final = 2.0
"""After so long an open transaction is taken for one whose writer died, or whose coordinator forgot it."""
ELSEWHERE_MAX: Final = 3
"""So often it is left to another process that has begun to end it."""
PAUSE_S: Final = 0.02
"""Doubled from try to try, drawn from zero to that: who fence each other must not do it in step."""
PAUSE_MAX_S: Final = 0.5


class Settings:
    """Read whenever asked: another process may have changed them."""

    def __init__(self, cluster: Cluster, reader: Reader) -> None:
        self._cluster = cluster
        self._reader = reader
        self._identifier = cluster.address.settings_transactional_id
        self._values: dict[str, str] = {}
        self._position = 0
        self._reading = asyncio.Lock()
        self._random = Random()  # noqa: S311 pauses, not secrets

    async def get(self, name: str) -> str | None:
        """Return a setting's value as of now, None if there is none."""
        return (await self.all()).get(name)

    async def all(self) -> dict[str, str]:
        """Return all settings as of now."""
        async with self._reading:
            high = (await self._reader.watermarks(SETTINGS, 0)).high
            loop = asyncio.get_running_loop()
            look_at, times = loop.time() + HIDDEN_S, 0
            while self._position < high:
                if not await self._advance() and loop.time() > look_at:
                    await self._end_open(times)
                    look_at, times = loop.time() + HIDDEN_S + self._random.random(), times + 1
            return dict(self._values)

    async def put(self, name: str, value: str, expected: str | None) -> bool:
        """Set it if it is `expected`; return whether it was. Raises `LogUnreachable`."""
        if await self.get(name) != expected:
            return False
        attempts = Attempts()
        try:
            async with asyncio.timeout(self._cluster.deadline_s):
                return await self._insist(name, value, expected, attempts)
        except TimeoutError as error:
            raise LogUnreachable(
                f"set {name}: not done within {self._cluster.deadline_s:g} s (last: {attempts.failed_by}); it may be set all the "
                "same: look before trying again"
            ) from error

    async def _insist(self, name: str, value: str, expected: str | None, attempts: Attempts) -> bool:
        pause_s = PAUSE_S
        maybe_set = False
        while True:
            transactions = Transactions(self._cluster, self._identifier, self._identifier, "settings")
            try:
                await transactions.begin_epoch(attempts)
                found = (await self.all()).get(name)
                if found != expected:
                    return maybe_set and found == value
                await self._set(transactions, name, value, attempts)
            except WriterFenced as error:
                maybe_set = maybe_set or transactions.unanswered
                attempts.failed_by = str(error)
            else:
                return True
            await asyncio.sleep(self._random.uniform(0, pause_s))
            pause_s = min(2 * pause_s, PAUSE_MAX_S)

    async def _set(self, transactions: Transactions, name: str, value: str, attempts: Attempts) -> None:
        encoder = Encoder(transactions.producer_id, transactions.producer_epoch, transactional=True, codec="none")
        batches = encoder.encode([Draft(SETTINGS, 0, name.encode(), value.encode())])
        await transactions.add({(self._cluster.address.settings_topic, 0)}, attempts)
        await Producing(self._cluster, self._identifier, self._identifier, "settings").produce(batches, attempts)
        await transactions.end(attempts, committed=True)

    async def _end_open(self, times: int) -> None:
        """End the transaction that hides the rest: as the next writer would, and one that hangs (see `hung`) as it had ended.

        `times`: how often that was tried. Who has not the right to leaves it to those who have.
        """
        transactions = Transactions(self._cluster, self._identifier, self._identifier, "settings")
        survey = Survey(self._cluster, [(SETTINGS, 0)])
        attempts = Attempts()
        try:
            async with asyncio.timeout(self._cluster.deadline_s):
                committed = await transactions.outcome(attempts)
                if committed is None and times < ELSEWHERE_MAX:
                    return  # somebody else has asked, and is about to end it
                await transactions.begin_epoch(attempts)
                mender = Mender(self._cluster, survey, transactions, "settings")
                mender.committed = committed is not False
                await mender.settle(attempts, survey.places)
        except (OutsideError, NotAuthorised, TimeoutError):
            pass  # the next look tries again
        finally:
            await survey.close()

    async def _advance(self) -> bool:
        """Take in what came; return whether anything had."""
        found = await self._reader.read(SETTINGS, 0, self._position, READ_RECORDS, headers=False)
        for record in found.records:
            if record.value is not None:
                self._values[record.key.decode()] = record.value.decode()
        if found.position == self._position:
            await self._reader.wait({(SETTINGS, 0): self._position}, WAIT_MS)
            return False
        self._position = found.position
        return True
