"""What the actors of a shard do in the world: after commit, at least once, one at a time and in order for each actor.

The next effect of an actor begins when the outcome of the one before is committed, its retries included: a retry that came
behind a later effect would carry a token lower than one that the far side has seen, and be refused there.

A handler's result, or its failure, comes back through the actor's inbox as a message of source `effect/ADDRESS`, caused
by the effect's id; the actor's log so decides what counts, and a result that comes twice counts once.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from ...schemas import Envelope, Record, derived_id
from ..behaviour import Effect
from ..clock import Clock
from ..errors import HmsError
from ..log.port import Draft, Log
from .cause import EFFECT_SOURCE
from .installed import Behaviours
from .records import EffectAttemptFailed, EffectSucceeded, PendingEffect
from .shard_options import ShardOptions
from .wire import PROTOCOL_VERSION, described, message_draft

logger = structlog.get_logger("hms.effects")
RETRY_APPEND_S = 0.2
CLOSE_S = 5.0


class EffectRunner:
    """Runs pending effects in queues, one queue an actor."""

    def __init__(
        self, log: Log, behaviours: Behaviours, clock: Clock, options: ShardOptions, now_us: Callable[[], int]
    ) -> None:
        """Make it; `now_us` gives the shard's time, by which attempts are due: the wall's may be anything."""
        self._now_us = now_us
        self._log = log
        self._behaviours = behaviours
        self._clock = clock
        self._options = options
        self._slots = asyncio.Semaphore(options.effects_max)
        self._queues: dict[str, dict[str, PendingEffect]] = {}
        self._begun: dict[str, tuple[str, int]] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._closing = False

    @property
    def running_count(self) -> int:
        """How many actors have effects that are not finished."""
        return len(self._queues)

    def start(self, actor: str, pending: PendingEffect) -> None:
        """Queue an effect behind the actor's older ones, which finish first; another attempt keeps its effect's place."""
        self._queues.setdefault(actor, {})[pending.id] = pending
        self._next(actor)

    def finish(self, actor: str, effect: str) -> None:
        """Go on with the actor's next effect: what became of this one is committed."""
        queue = self._queues.get(actor, {})
        queue.pop(effect, None)
        if queue:
            self._next(actor)
        else:
            self._queues.pop(actor, None)
            self._begun.pop(actor, None)

    def _next(self, actor: str) -> None:
        pending = next(iter(self._queues[actor].values()))
        attempt = (pending.id, pending.attempt)
        if self._begun.get(actor) == attempt:
            return
        self._begun[actor] = attempt
        task = asyncio.create_task(self._run(actor, pending), name=f"effect {pending.id} of {actor}")
        self._tasks[task] = None
        task.add_done_callback(lambda ended: self._tasks.pop(ended, None))

    async def close(self) -> None:
        """Stop; what was under way is begun again by whoever restores the shard. A handler that will not stop is left."""
        self._closing = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=CLOSE_S)
            for task in left:
                logger.error("effect_does_not_stop", task=task.get_name(), after_s=CLOSE_S)

    async def _run(self, actor: str, pending: PendingEffect) -> None:
        await self._wait_until(pending.due_us)
        async with self._slots:
            outcome = await self._attempt(actor, pending)
        try:
            draft = self._result(actor, pending, outcome)
        except Exception as error:  # noqa: BLE001 - a handler may return anything
            draft = self._result(actor, pending, _failed(pending, f"its result cannot be sent: {described(error)}"))
        await self._report(actor, pending, draft)

    async def _wait_until(self, due_us: int) -> None:
        if due_us:
            await asyncio.sleep(max(0, due_us - self._now_us()) / 1_000_000)

    async def _attempt(self, actor: str, pending: PendingEffect) -> Record:
        installed = self._behaviours.of(actor)
        try:
            _, event = self._behaviours.contract.decode(pending.event)
            reaction = None if installed is None else installed.reaction(type(event), pending.handler)
            if reaction is None:
                return _failed(pending, f"the behaviour no longer has the handler {pending.handler} for this event")
            effect = Effect(pending.token, pending.attempt, actor, pending.id, self._log.url)
            result = await reaction.run(event, effect)
        except asyncio.CancelledError:
            if self._closing:
                raise
            return _failed(pending, "the handler was cancelled by something of its own", retryable=True)
        except Exception as error:  # noqa: BLE001 - a handler may raise anything: it is the outcome of the attempt
            logger.warning(
                "effect_attempt_failed", actor=actor, effect=pending.id, attempt=pending.attempt, error=repr(error)
            )
            return _failed(pending, described(error), retryable=_retryable(error))
        return EffectSucceeded() if result is None else result

    def _result(self, actor: str, pending: PendingEffect, outcome: Record) -> Draft:
        record_type: Any = self._behaviours.contract.of(type(outcome))
        envelope = Envelope(
            derived_id(actor, pending.id, "effect", str(pending.attempt)),
            EFFECT_SOURCE + actor,
            actor,
            record_type.name,
            self._clock.wall_us(),
            self._behaviours.contract.decode(pending.event)[0].correlation_id,
            pending.id,
            None,
            "high",
            None,
            PROTOCOL_VERSION,
        )
        body = record_type.encode_body(outcome)
        return message_draft(
            record_type,
            body,
            envelope,
            self._log.partitions,
            self._options.value_bytes_max,
            headers=self._log.capabilities.headers,
        )

    async def _report(self, actor: str, pending: PendingEffect, draft: Draft) -> None:
        while True:
            try:
                await self._log.append([draft])
            except HmsError as error:
                # Also a refusal that passes: without its result the actor's effects would stand still.
                logger.warning("effect_result_not_written", actor=actor, effect=pending.id, error=str(error))
                await asyncio.sleep(RETRY_APPEND_S)
            else:
                return


def _failed(pending: PendingEffect, error: str, *, retryable: bool = False) -> EffectAttemptFailed:
    return EffectAttemptFailed(attempt=pending.attempt, error=error, retryable=retryable)


def _retryable(error: Exception) -> bool:
    return error.retryable if isinstance(error, HmsError) else isinstance(error, OSError | TimeoutError)
