"""What everybody may append: one idempotent producer a handle, which takes all that waits with each request.

A producer whose batch failed is of no use any more (the broker would take everything after it for out of order): the next
round begins with a new one.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from aiokafka.protocol.transaction import InitProducerIdRequest

from ...errors import AppendUnknown, HmsError, LogUnreachable
from ..port import Draft
from .answers import Attempts, Meaning, meaning, name
from .cluster import Cluster
from .encoding import Batch, Encoder, Places
from .failures import DEADLINE_S, FAILURES, describe
from .producing import Producing
from .topics import SETTINGS
from .writer import CODEC, late

LANE: Final = "append"
ROUND_RECORDS_MAX: Final = 5_000
SLOW_S: Final = 0.5
"""After this the next round begins beside the one under way, as another producer."""
SLOW_ROUNDS_MAX: Final = 16
CLOCK: Final = (SETTINGS, 0)
Call = tuple[Sequence[Draft], asyncio.Future[list[int]]]


class Outgoing:
    """Calls that come while a round is under way go together in the next. Atomic is a call only by chance."""

    def __init__(self, cluster: Cluster, places: Places, *, codec: str = CODEC, deadline_s: float = DEADLINE_S) -> None:
        self._cluster = cluster
        self._places = places
        self._codec = codec
        self._deadline_s = deadline_s
        self._producing = Producing(cluster, LANE, None, "append")
        self._encoder: Encoder | None = None
        self._waiting: list[Call] = []
        self._pump: asyncio.Task[None] | None = None
        self._slow: set[asyncio.Task[None]] = set()
        """The rounds under way: one, or more when some take long."""

    async def append(self, drafts: Sequence[Draft]) -> list[int]:
        """Write the drafts, and return their offsets; see the port."""
        self._cluster.check_open()
        self._places.check(drafts)
        return await self.write(drafts) if drafts else []

    async def write(self, drafts: Sequence[Draft]) -> list[int]:
        """Write drafts to any topic of the log, those included that only the log itself writes to."""
        done: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self._waiting.append((drafts, done))
        if self._pump is None:
            self._pump = asyncio.create_task(self._run(), name="append")
        return await done

    async def clock_us(self) -> int:
        """Return a broker's clock: when it appended a record that is written now. Raises as `append` does."""
        await self.write([Draft(*CLOCK, b"clock", b"{}")])
        return self._producing.appended_ms[CLOCK] * 1_000

    async def close(self) -> None:
        """Fail what waits. Doing it again does nothing."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        for one in list(self._slow):
            one.cancel()
        await asyncio.gather(*self._slow, return_exceptions=True)
        for _, done in self._take(0):
            if not done.done():
                done.set_exception(LogUnreachable("append: the log was closed before it was written"))

    async def _run(self) -> None:
        """Write in rounds, one after the other; a round that takes long (a leader is away) is left to itself."""
        try:
            while self._waiting:
                if len(self._slow) >= SLOW_ROUNDS_MAX:
                    await asyncio.wait(self._slow, return_when=asyncio.FIRST_COMPLETED)
                one = asyncio.create_task(self._round(self._take(ROUND_RECORDS_MAX)), name="append round")
                self._slow.add(one)
                one.add_done_callback(self._slow.discard)
                await asyncio.wait({one}, timeout=SLOW_S)
        finally:
            self._pump = None

    def _take(self, records_max: int) -> list[Call]:
        """Take calls from the queue, as many as fit but at least one; all of them if it is 0."""
        taken: list[Call] = []
        count = 0
        while self._waiting and (not taken or not records_max or count + len(self._waiting[0][0]) <= records_max):
            taken.append(self._waiting.pop(0))
            count += len(taken[-1][0])
        return taken

    async def _round(self, calls: list[Call]) -> None:
        drafts = [draft for part, _ in calls for draft in part]
        batches: list[Batch] = []
        attempts = Attempts()
        encoder, self._encoder = self._encoder, None
        try:
            async with asyncio.timeout(self._deadline_s):
                encoder = encoder or await self._new_encoder(attempts)
                batches += encoder.encode(drafts)
                await self._producing.produce(batches, attempts, lambda: _answer(calls, batches))
        except BaseException as error:
            _answer(calls, batches)
            _refuse(calls, batches, error, late("append", self._deadline_s, attempts))
            if not isinstance(error, HmsError | TimeoutError):
                raise
        else:
            self._encoder = encoder
            _answer(calls, batches)

    async def _new_encoder(self, attempts: Attempts) -> Encoder:
        request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=0)
        while True:
            self._cluster.check_open()
            try:
                answer = await self._cluster.ask(self._cluster.client.get_random_node(), request, LANE)
            except FAILURES as error:
                await self._cluster.refresh()
                await attempts.pause(describe(error))
                continue
            if meaning(answer.error_code, "append") is Meaning.DONE:
                return Encoder(answer.producer_id, answer.producer_epoch, transactional=False, codec=self._codec)
            await attempts.pause(name(answer.error_code))


def _spans(calls: Sequence[Call]) -> Iterator[tuple[int, int, asyncio.Future[list[int]]]]:
    """Yield each call that waits, with the numbers of its first draft and of the one behind its last."""
    begin = 0
    for drafts, done in calls:
        if not done.done():
            yield begin, begin + len(drafts), done
        begin += len(drafts)


def _answer(calls: Sequence[Call], batches: Sequence[Batch]) -> None:
    """Answer the calls all of whose records are in the log."""
    found = {
        number: batch.offset + index
        for batch in batches
        if batch.offset >= 0
        for index, number in enumerate(batch.numbers)
    }
    for begin, end, done in _spans(calls):
        numbers = range(begin, end)
        if all(number in found for number in numbers):
            done.set_result([found[number] for number in numbers])


def _refuse(calls: Sequence[Call], batches: Sequence[Batch], error: BaseException, late_error: LogUnreachable) -> None:
    """Tell the calls that are left what the failure means: unknown, if any of their own records may be in the log."""
    cause = late_error if isinstance(error, TimeoutError) else error
    perhaps = {number for batch in batches if batch.offset >= 0 or batch.uncertain for number in batch.numbers}
    for begin, end, done in _spans(calls):
        if perhaps.isdisjoint(range(begin, end)):
            nothing = f"append: {describe(cause)}; nothing was written"
            done.set_exception(type(cause)(str(cause)) if isinstance(cause, HmsError) else LogUnreachable(nothing))
        else:
            text = f"the answer to an append is missing ({describe(cause)}): retry with the same ids"
            done.set_exception(AppendUnknown(text))
