"""Attends one run: its probes and its limits, from its start (or adoption) to its end."""

import asyncio
import contextlib
import time
from typing import Any, Protocol

from ...schemas.fleet import ComponentSpec, Probe
from .facts import BecameReady, BecameUnready, Fact, LimitExceeded, LivenessFailed, StartupFailed
from .lag import Lag
from .probe import Question, Subject, question
from .process import Identity, Process
from .sampling import LimitWatch, Sample
from .tasks import begin
from .vitals import Vitals, Watch

STARTUP_PASSED = "startup-passed"
"""In a run's folder: the next agent need not ask again."""


class Listener(Protocol):
    """Who hears what is found."""

    def say(self, kind: type[Fact], **fields: Any) -> None:
        """Tell a fact about the run."""

    def heal(self) -> None:
        """Restart the run, should that be this host's own business now."""


class Attendance:
    """Begins at once; end it with `end` or `drop`."""

    def __init__(self, process: Process, identity: Identity, spec: ComponentSpec, lag: Lag, listener: Listener) -> None:
        """Ask the probes of `spec` from now on."""
        self._folder = process.run.folder
        self._listener = listener
        self._limits = LimitWatch(spec.limits)
        subject = Subject(identity.pid, identity.start_ticks, process.shim_pid, spec)
        watch = Watch(spec.probes, lambda probe: _question(probe, subject), self, lag)
        self.vitals: Vitals = watch.vitals
        started = time.monotonic() - (time.time() - identity.started_at / 1e6)
        passed = (self._folder / STARTUP_PASSED).exists()
        self._watching = begin(watch.run(started, startup_passed=passed), f"probes of {self._folder}")

    def drop(self) -> None:
        """End without waiting."""
        self._watching.cancel()
        self.vitals.ready = False

    async def end(self) -> None:
        """End, and wait until no probe is under way."""
        self.drop()
        await asyncio.wait({self._watching})

    def note(self, sample: Sample) -> None:
        """Compare a sample with the limits."""
        for excess in self._limits.note(sample):
            self._listener.say(LimitExceeded, **excess._asdict())
            self._listener.heal()

    def ready(self) -> None:
        """See `Observer`."""
        self._listener.say(BecameReady)

    def unready(self, reason: str) -> None:
        """See `Observer`."""
        self._listener.say(BecameUnready, reason=reason)

    def liveness_failed(self, reason: str) -> None:
        """See `Observer`."""
        self._listener.say(LivenessFailed, reason=reason)
        self._listener.heal()

    def startup_passed(self) -> None:
        """See `Observer`."""
        with contextlib.suppress(OSError):
            (self._folder / STARTUP_PASSED).touch()

    def startup_failed(self, reason: str) -> None:
        """See `Observer`."""
        self._listener.say(StartupFailed, reason=reason)
        self._listener.heal()


def _question(probe: Probe, subject: Subject) -> Question:
    try:
        return question(probe, subject)
    except ValueError as error:
        reason = str(error)

    async def malformed() -> str | None:
        return reason

    return malformed
