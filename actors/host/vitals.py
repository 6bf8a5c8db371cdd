"""What the probes say over time, by Kubernetes' rules: startup holds the others back, thresholds make a verdict."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from ...schemas.fleet import Probe, Probes
from .lag import Lag
from .probe import Question

Ask = Callable[[Probe], Question]
IMPLICIT_LIVENESS = Probe(process=True)
"""Without a liveness probe it is still asked whether the process is stopped or a zombie."""


class Observer(Protocol):
    """Who is told when a verdict changes."""

    def ready(self) -> None:
        """Hear that it may be used."""

    def unready(self, reason: str) -> None:
        """Hear that it may not be used for now."""

    def liveness_failed(self, reason: str) -> None:
        """Hear that it should be restarted."""

    def startup_passed(self) -> None:
        """Remember that startup need not be asked again for this run."""

    def startup_failed(self, reason: str) -> None:
        """Hear that it never came up."""


class Answer(NamedTuple):
    """One answer of a probe; `reason` is None if all was well."""

    reason: str | None
    latency_ms: float


class Threshold:
    """Counts answers of one kind in a row and says when they turn the verdict."""

    def __init__(self, probe: Probe, *, passing: bool | None) -> None:
        """Begin with a verdict, or with none."""
        self._probe = probe
        self.passing = passing
        self._run = 0
        self._last: bool | None = None

    def note(self, ok: bool) -> bool:  # noqa: FBT001 - the one thing that is noted
        """Count an answer; True if it turned the verdict."""
        self._run = self._run + 1 if ok == self._last else 1
        self._last = ok
        needed = self._probe.success_threshold if ok else self._probe.failure_threshold
        if self.passing == ok or self._run < needed:
            return False
        self.passing = ok
        return True


@dataclass(slots=True)
class Vitals:
    """The verdicts on one run as they stand; `latency_ms` by probe (startup, liveness, readiness)."""

    startup: bool = False
    ready: bool = False
    alive: bool = True
    reason: str = ""
    latency_ms: dict[str, float] = field(default_factory=dict)


class Watch:
    """Asks a run's probes until it is cancelled."""

    def __init__(self, probes: Probes, ask: Ask, observer: Observer, lag: Lag) -> None:
        """Ask nothing yet."""
        self._probes = probes
        self._ask = ask
        self._observer = observer
        self._lag = lag
        self.vitals = Vitals()

    async def run(self, started: float, *, startup_passed: bool = False) -> None:
        """Probe a run that started at `started` (monotonic seconds); skip startup if it has passed before."""
        if (
            self._probes.startup is not None
            and not startup_passed
            and not await self._startup(self._probes.startup, started)
        ):
            return
        self.vitals.startup = True
        self._observer.startup_passed()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._liveness(self._probes.liveness or IMPLICIT_LIVENESS, started))
            group.create_task(self._readiness(self._probes.readiness, started))

    async def _startup(self, probe: Probe, started: float) -> bool:
        verdict = Threshold(probe, passing=None)
        async for answer in self._answers("startup", probe, started):
            self.vitals.reason = answer.reason or ""
            if verdict.note(answer.reason is None):
                break
        if not verdict.passing:
            self.vitals.alive = False
            self._observer.startup_failed(self.vitals.reason)
        return bool(verdict.passing)

    async def _liveness(self, probe: Probe, started: float) -> None:
        verdict = Threshold(probe, passing=True)
        async for answer in self._answers("liveness", probe, started):
            if verdict.note(answer.reason is None):
                self.vitals.alive, self.vitals.reason = answer.reason is None, answer.reason or ""
                if answer.reason is not None:
                    self._observer.liveness_failed(answer.reason)

    async def _readiness(self, probe: Probe | None, started: float) -> None:
        if probe is None:
            self.vitals.ready = True
            self._observer.ready()
            return
        verdict = Threshold(probe, passing=None)
        async for answer in self._answers("readiness", probe, started):
            if verdict.note(answer.reason is None):
                self.vitals.ready = answer.reason is None
                if answer.reason is None:
                    self._observer.ready()
                else:
                    self._observer.unready(answer.reason)

    async def _answers(self, name: str, probe: Probe, started: float) -> AsyncIterator[Answer]:
        """Yield what counts: an answer that came while this process itself was late by half a period does not."""
        await asyncio.sleep(started + probe.initial_delay_ms / 1000 - time.monotonic())
        ask = self._ask(probe)
        while True:
            begun = time.monotonic()
            reason = await _asked(ask)
            answer = Answer(reason, (time.monotonic() - begun) * 1000)
            if self._lag.worst_ms_since(begun) <= probe.period_ms / 2:
                self.vitals.latency_ms[name] = answer.latency_ms
                yield answer
            await asyncio.sleep(max(0.0, begun + probe.period_ms / 1000 - time.monotonic()))


async def _asked(ask: Callable[[], Awaitable[str | None]]) -> str | None:
    # A probe that breaks must not end the watch silently: what is not answered is a failure with its reason.
    try:
        return await ask()
    except Exception as error:  # noqa: BLE001
        return f"the probe itself failed: {error!r}"
