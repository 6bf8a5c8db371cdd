"""`hms demo`: a small fleet, real faults, and what becomes of them."""

import asyncio
import random
import signal
import sys
import time
from collections.abc import Sequence
from typing import Annotated, Final

from cyclopts import Parameter

from ...schemas import Event
from ...schemas.component_events import ComponentExited, ComponentGivenUp, ComponentStarted
from ...schemas.group_events import GroupRestarting
from ...schemas.recovery_event import RecoveryInitiated
from ..cli.exit_codes import Exit
from ..cli.opened import quiet
from ..cli.show import write
from ..session.screen import ColourScreen, Screen
from .incident import INCIDENTS, Incident, Outcome, play
from .proof import Comparison, prove
from .stage import Stage, set_up
from .table import show_outcomes, show_proof

KeepOption = Annotated[bool, Parameter(help="Leave the log for the other commands, and say where it is")]
SeedOption = Annotated[int | None, Parameter(help="The order of the incidents [default: drawn, and shown]")]
START_S: Final = 15.0
COMPONENTS: Final = 4


def demo(*, keep: KeepOption = False, seed: SeedOption = None) -> int:
    """Start a small fleet, break it in six ways, and show what HMS sees, decides and does; in under 45 seconds.

    Real processes, real faults, a log of its own in a temporary folder. The exit code is 1 if any incident ends otherwise
    than was declared beforehand, or if the log's state is not the operating system's.
    """
    quiet()
    return asyncio.run(_demo(keep=keep, seed=random.randrange(1_000) if seed is None else seed))  # noqa: S311


async def _demo(*, keep: bool, seed: int) -> int:
    begun = time.monotonic()
    incidents = list(INCIDENTS)
    random.Random(seed).shuffle(incidents)  # noqa: S311 - an order, no secret
    async with set_up(_screen(), keep=keep) as stage:
        verdict = await _play(stage, incidents, begun, seed)
        if left := await stage.clear():
            write(f"{left} processes were left and had to be killed: that is wrong")
            verdict = Exit.FAILED
        if keep:
            write(f"\nthe log stays; for the other commands:\n  export HMS_LOG={stage.log.url}")
    return verdict


async def _play(stage: Stage, incidents: Sequence[Incident], begun: float, seed: int) -> int:
    _headline(f"hms demo --seed {seed}: 4 components, {len(incidents)} incidents; log {stage.log.url}")
    await stage.start_supervisor()
    if not await stage.chronicle.until(lambda: stage.chronicle.count(ComponentStarted) == COMPONENTS, START_S):
        write(f"the fleet did not start within {START_S:.0f} s; hms up said:\n{stage.said_by_supervisor()}")
        return Exit.FAILED
    outcomes = []
    for incident in incidents:
        _headline(f"{incident.name}; right for it: {incident.declared}")
        outcomes.append(await play(incident, stage))
    comparisons = await prove(stage)
    _headline("the end: hms up is told to stop")
    code = await stage.end_supervisor(signal.SIGTERM)
    return _show(stage, outcomes, comparisons, code, begun)


def _show(
    stage: Stage, outcomes: Sequence[Outcome], comparisons: Sequence[Comparison], code: int | None, begun: float
) -> int:
    write("")
    show_outcomes(outcomes)
    write("")
    show_proof(comparisons)
    write("")
    right = sum(outcome.right for outcome in outcomes)
    equal = sum(each.equal for each in comparisons)
    expected = Exit.UNHEALTHY  # because the cache was given up
    count = stage.chronicle.count
    write(f"{right} of {len(outcomes)} incidents as declared, {equal} of {len(comparisons)} components as the log says")
    write(
        f"{count(ComponentStarted)} starts, {count(ComponentExited)} ends, {count(GroupRestarting)} restarts decided, "
        f"{count(RecoveryInitiated)} of them recoveries, {count(ComponentGivenUp)} given up; "
        f"{count(Event)} events of {len({told.who for told in stage.chronicle.told})} actors"
    )
    write(f"hms up ended with {code}, expected {expected.value}; {time.monotonic() - begun:.1f} s in all")
    return Exit.OK if right == len(outcomes) and equal == len(comparisons) and code == expected else Exit.FAILED


def _headline(text: str) -> None:
    write(f"\n=== {text}")
    sys.stdout.flush()


def _screen() -> Screen:
    return ColourScreen() if sys.stdout.isatty() else Screen()
