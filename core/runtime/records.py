"""What the runtime itself writes: commit records, checkpoints, dead letters, and the events of timers and effects.

They are records as any other: a schema in the log, an envelope, readable by every tool.
"""

from datetime import datetime
from typing import ClassVar

from ...schemas import Event, Message, Record

TIMER_LANE = 4
"""Lane number of an input that is a timer; 0 to 3 are the inbox lanes, critical first."""


class Input(Record):
    """One consumed input, in the order of consumption.

    `lane` 0-3: critical, high, normal, low, and `offset` is the message's; 4: a timer of `actor` named `timer`, and
    `offset` is its generation. `source`, `id` and `actor` are set for inputs from outside: they are what deduplication
    remembers, with the `answer` (Confluent frame and body, without envelope; empty: none).
    """

    lane: int
    offset: int
    verdict: str
    actor: str = ""
    timer: str = ""
    source: str = ""
    id: str = ""
    at_us: int = 0
    answer: bytes = b""


class BegunEffect(Record):
    """An effect that a commit begins: which event asks for it, which handler runs it."""

    event: str
    handler: str


class Commit(Event):
    """One transaction of a shard, the last record in it. The chain of these is the shard's history.

    The inputs are the last field: whoever does not need them reads only what is before.

    `sequence` is dense from 0; `epoch` grows with every opening of the shard; `positions` are the lanes' next offsets
    after this commit; `previous` is the SHA-256 of the previous commit record's value; the digests are SHA-256 over the
    values read and over keys and values written.
    `attempting` (lane, offset, which timer, how often) is written alone, before a shard in careful mode handles that input.
    `begun` are the effects that start after it: a restore begins these and no others, whatever today's code would ask for.
    """

    explicit_type: ClassVar[str | None] = "hms.Commit"

    sequence: int
    epoch: int
    code_version: str
    now: datetime
    positions: tuple[int, ...]
    digest_read: bytes
    digest_sent: bytes
    previous: bytes
    attempting: tuple[int, ...]
    begun: tuple[BegunEffect, ...]
    inputs: tuple[Input, ...]


class PendingTimer(Record):
    """A timer that is set: fires at `due_us` with `message` (Confluent frame and body)."""

    name: str
    generation: int
    due_us: int
    message: bytes
    correlation_id: str


class PendingEffect(Record):
    """An effect that is not finished: what `handler` does about `event` (the whole wire value)."""

    id: str
    handler: str
    token: int
    attempt: int
    due_us: int
    event: bytes


class Checkpoint(Record):
    """An actor at the end of commit `sequence` (key: its address); `state` is Confluent frame and body."""

    explicit_type: ClassVar[str | None] = "hms.Checkpoint"

    behaviour: str
    version: int
    fingerprint: str
    sequence: int
    count: int
    generation: int
    timers: tuple[PendingTimer, ...]
    effects: tuple[PendingEffect, ...]
    quarantine: str
    state: bytes


class ShardCheckpoint(Record):
    """Where a restore begins (key: `shard/N`): the tail from `low_water` on, with the answers of `segments`.

    `answers_sequence` is the last commit whose answers are all in segments; `refused_before_us` holds, for each lane, the
    newest creation time of a forgotten UUIDv7, and `forgotten_at_us` the newest append time at the last forgetting.
    """

    explicit_type: ClassVar[str | None] = "hms.ShardCheckpoint"

    sequence: int
    low_water: int
    answers_sequence: int
    refused_before_us: tuple[int, ...]
    forgotten_at_us: int
    segments: tuple[int, ...]


class Answer(Record):
    """What an outside input got, for as long as a duplicate may come."""

    source: str
    id: str
    actor: str
    lane: int
    at_us: int
    verdict: str
    answer: bytes


class Answers(Record):
    """A sealed segment of remembered answers (key: `shard/N/answers/K`)."""

    explicit_type: ClassVar[str | None] = "hms.Answers"

    answers: tuple[Answer, ...]


class Header(Record):
    """A header as it came."""

    name: str
    value: bytes


class DeadLetter(Event):
    """A message that could not be handled, whole; `value` is None when it is too large, then its hash and place tell."""

    explicit_type: ClassVar[str | None] = "hms.DeadLetter"

    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    appended_at: datetime
    key: bytes
    value: bytes | None
    value_sha256: bytes
    headers: tuple[Header, ...]


class TimerSet(Event):
    """The actor set a timer; a later generation of the same name replaces it."""

    explicit_type: ClassVar[str | None] = "hms.TimerSet"

    name: str
    generation: int
    due_us: int
    message: bytes
    correlation_id: str


class TimerCancelled(Event):
    """The actor cancelled a timer."""

    explicit_type: ClassVar[str | None] = "hms.TimerCancelled"

    name: str
    generation: int


class TimerFired(Event):
    """A timer was due and its message decided upon, in this commit."""

    explicit_type: ClassVar[str | None] = "hms.TimerFired"

    name: str
    generation: int


class EffectRetried(Event):
    """An attempt failed in a way that may pass; the next one starts at `due_us`."""

    explicit_type: ClassVar[str | None] = "hms.EffectRetried"

    effect: str
    attempt: int
    error: str
    due_us: int


class EffectFinished(Event):
    """The effect is done: `outcome` is `succeeded` or `failed` (then `error` says why, and nobody tries again)."""

    explicit_type: ClassVar[str | None] = "hms.EffectFinished"

    effect: str
    outcome: str
    error: str = ""


class ActorQuarantined(Event):
    """The actor's `evolve` failed on its own event; until its code changes, its messages become dead letters."""

    explicit_type: ClassVar[str | None] = "hms.ActorQuarantined"

    reason: str
    fingerprint: str


class EffectSucceeded(Message):
    """To the runtime itself: an effect ended and had nothing to say to its actor."""

    explicit_type: ClassVar[str | None] = "hms.EffectSucceeded"


class EffectAttemptFailed(Message):
    """To the runtime itself: an attempt raised."""

    explicit_type: ClassVar[str | None] = "hms.EffectAttemptFailed"

    attempt: int
    error: str
    retryable: bool


class EffectFailed(Message):
    """To an actor that takes it: one of its effects failed for good."""

    explicit_type: ClassVar[str | None] = "hms.EffectFailed"

    effect: str
    event: str
    error: str


class MessageRefused(Message):
    """The answer to a message that was refused; `message_id` tells which."""

    explicit_type: ClassVar[str | None] = "hms.MessageRefused"

    message_id: str
    code: str
    reason: str


RUNTIME_RECORDS: tuple[type[Record], ...] = (
    Commit,
    Checkpoint,
    ShardCheckpoint,
    Answers,
    DeadLetter,
    TimerSet,
    TimerCancelled,
    TimerFired,
    EffectRetried,
    EffectFinished,
    ActorQuarantined,
    EffectSucceeded,
    EffectAttemptFailed,
    EffectFailed,
    MessageRefused,
)
