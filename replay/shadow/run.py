"""A log's recorded inputs, decided by a candidate: fed to its process a batch at a time, compared there, counted here."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ...core.errors import ValidationFailed
from ...core.log.port import LANES, Stored
from ...core.runtime.commits import Inputs, commits
from ...core.runtime.divergence import Divergence
from ...core.runtime.records import RUNTIME_RECORDS
from ...schemas import Contract, SchemaError
from ..history import History
from ..schemas import learn_schemas, schema_records
from ..verify.sent import settle
from ..verify.shard import DOUBT_BYTES_MAX, Doubt, ends_of
from ..verify.upkeep import Upkeep
from .process import CandidateFailed, CandidateProcess

FRAME_COMMITS: Final = 500
FRAME_BYTES: Final = 1 << 20
DOUBTS_MAX: Final = 200_000
WORD_CHARS_MAX: Final = 4_000
COUNTS: Final = ("commits", "commits_skipped", "inputs", "sends_checked", "sends_unchecked")
_LANE: Final = {topic: lane for lane, topic in enumerate(LANES)}

Sink = Callable[[Divergence], None]


@dataclass
class Shadow:
    """What a candidate came to; `diverged` counts inputs that it decides otherwise, and messages that it sends otherwise."""

    code_version: str = ""
    diverged: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))

    @property
    def share(self) -> float:
        """The part of all inputs that diverged, 0 to 1."""
        return self.diverged / self.counts["inputs"] if self.counts["inputs"] else 0.0


@dataclass(frozen=True)
class Order:
    """What a candidate is given: apps as `module:attribute`, which shards, from when on; free-running or in lock-step."""

    apps: tuple[str, ...]
    shards: tuple[int, ...] | None = None
    since_us: int = 0
    free_run: bool = False


async def shadow(history: History, process: CandidateProcess, order: Order, sink: Sink) -> Shadow:
    """Let a candidate decide what was recorded; each difference goes to `sink`. Raises `CandidateFailed`."""
    contract = Contract()
    for record in RUNTIME_RECORDS:
        contract.register(record, str(record.explicit_type))
    await learn_schemas(history, contract)
    listener = _Listener(contract, sink)
    feeding = asyncio.create_task(_feed(history, contract, process, order, listener))
    listening = asyncio.create_task(listener.hear(process))
    try:
        await asyncio.gather(feeding, listening)
        listener.check_answered()
    finally:
        for task in (feeding, listening):
            task.cancel()
        await asyncio.gather(feeding, listening, return_exceptions=True)
    settled = await settle(history, contract, listener.doubts)
    for divergence in settled.divergences:
        listener.diverged(divergence)
    listener.found.counts["sends_checked"] += settled.checked
    listener.found.counts["sends_unchecked"] += settled.unchecked
    return listener.found


async def _feed(
    history: History, contract: Contract, process: CandidateProcess, order: Order, listener: "_Listener"
) -> None:
    begin = {
        "apps": list(order.apps),
        "partitions": history.partitions,
        "headers": history.log is None or history.log.capabilities.headers,
        "lockstep": not order.free_run,
        "since_us": order.since_us,
        "schemas": await schema_records(history),
    }
    await process.send("begin", begin)
    for shard in range(history.partitions) if order.shards is None else order.shards:
        listener.shards_asked += 1
        await process.send("shard", shard)
        async for frame in _frames(history, contract, shard):
            listener.fed += sum(1 + len(inputs) for _, _, inputs, _ in frame)
            await process.send("commits", frame)
    await process.finish()


async def _frames(history: History, contract: Contract, shard: int) -> AsyncIterator[list[Any]]:
    ends = await ends_of(history, shard)
    inputs, upkeep = Inputs(history, shard, ends.lanes), Upkeep(history.log, contract, shard)
    frame: list[Any] = []
    size = 0
    async for transaction in commits(history, shard, contract, 0, ends.events):
        consumed = await inputs.of(transaction.fields)
        run = await upkeep.of(transaction.fields["sequence"])
        events, record = [one[2:6] for one in transaction.events], transaction.record[2:6]
        frame.append((events, record, [_sent(one) for one in consumed], [(one.key, one.value) for one in run]))
        size += sum(len(one.value or b"") for one in (*transaction.events, transaction.record, *filter(None, consumed)))
        if len(frame) >= FRAME_COMMITS or size >= FRAME_BYTES:
            yield frame
            frame, size = [], 0
    if frame:
        yield frame
    await inputs.close()


def _sent(stored: Stored | None) -> tuple[Any, ...] | None:
    return None if stored is None else (_LANE[stored.topic], *stored[2:])


class _Listener:
    """Hears a candidate out, believing nothing but the form of what it says."""

    def __init__(self, contract: Contract, sink: Sink) -> None:
        self.found = Shadow()
        self.fed = 0
        """Inputs and commits given to it: there are at most two differences in each."""
        self.shards_asked = 0
        self.doubts: list[Doubt] = []
        self._doubt_bytes = 0
        self._shards_answered = 0
        self._lines = 0
        self._contract = contract
        self._sink = sink

    def diverged(self, divergence: Divergence) -> None:
        """Count a difference and pass it on. Raises `CandidateFailed` for more of them than there can be."""
        self.found.diverged += 1
        if self.found.diverged > 2 * self.fed:
            raise CandidateFailed(f"the candidate's process told more than {2 * self.fed} differences")
        self._sink(divergence)

    async def hear(self, process: CandidateProcess) -> None:
        """Listen to the end."""
        while (said := await process.line()) is not None:
            try:
                self._count()
                self._take(said)
            except (TypeError, ValueError, KeyError, AttributeError, OverflowError, SchemaError) as error:
                raise CandidateFailed(f"the candidate's process said {str(said)[:200]}: {error}") from error

    def check_answered(self) -> None:
        """Raise `CandidateFailed` if it ended, however peacefully, before it had answered for every shard."""
        if self._shards_answered != self.shards_asked:
            raise CandidateFailed(
                f"the candidate's process ended when it had answered for {self._shards_answered} of {self.shards_asked} "
                "shards; does its code leave by sys.exit or os._exit?"
            )

    def _count(self) -> None:
        """Raise `ValueError` for more lines than there can be: nobody has to hear it out for ever."""
        self._lines += 1
        lines_max = 4 * (self.fed + self.shards_asked + 1)
        if self._lines > lines_max:
            raise ValueError(f"expected at most {lines_max} lines, got more")

    def _take(self, said: dict[str, Any]) -> None:
        match said:
            case {"ready": str(version), "schemas": list(schemas)}:
                self.found.code_version = version
                for id_, text in schemas:
                    if self._contract.by_id(int(id_)) is None:
                        self._contract.learn(int(id_), str(text))
            case {"divergence": list(values)}:
                self.diverged(_divergence(values))
            case {"doubt": list(values)} if len(self.doubts) < DOUBTS_MAX:
                self._doubted(_doubt(values))
            case {"shard": int()}:
                self._shards_answered += 1
                for name in COUNTS:
                    self.found.counts[name] += int(said[name])
            case _:
                pass

    def _doubted(self, doubt: Doubt) -> None:
        self._doubt_bytes += sum(len(key) + len(value) for key, value in doubt.messages.values())
        if self._doubt_bytes > DOUBT_BYTES_MAX * self.shards_asked:
            raise ValueError(f"expected messages in doubt of at most {DOUBT_BYTES_MAX} bytes a shard, got more")
        self.doubts.append(doubt)


_KINDS: Final = (int, int, int, int, str, str, int, int, str, str, str, str, str)


def _divergence(values: Sequence[Any]) -> Divergence:
    if tuple(map(type, values)) != _KINDS:
        raise ValidationFailed(f"expected a divergence, got {str(values)[:200]}")
    cut: list[Any] = [one[:WORD_CHARS_MAX] if isinstance(one, str) else one for one in values]
    return Divergence(*cut)


def _doubt(values: Sequence[Any]) -> Doubt:
    shard, sequence, offset, now_us, code_version, messages, alone = values
    sent = {str(id_): (bytes.fromhex(key), bytes.fromhex(value)) for id_, (key, value) in messages.items()}
    return Doubt(int(shard), int(sequence), int(offset), int(now_us), str(code_version), sent, bool(alone))
