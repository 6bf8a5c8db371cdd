"""The analysis supervisor's effects: each asks the process that looks, and brings back what it says.

Nothing here imports DuckDB or NumPy: a node that never looks pays for neither, and one that does pays in another process.
"""

import asyncio
from typing import Final

from ....core.behaviour import Effect
from ....core.errors import HmsError
from ....schemas.analysis import MetricsResponse
from ....schemas.analysis_event import AnalysisTaskAccepted, CausesAsked, LookAsked, MetricsAsked
from ....schemas.analysis_look import AnalysisFound, CausesFound, LookTaken, MetricsFound
from ....schemas.record import Record
from .looker import LookFailed, looker_of

ATTEMPTS: Final = 3
"""After so many attempts the one who asked hears the error."""


async def look(asked: LookAsked, effect: Effect) -> LookTaken:
    """Take a look; raises `LookFailed`, after which the runtime tries again and then says so to the supervisor."""
    return LookTaken.model_validate_json(await _ask("look", asked, effect, asked.cpu_ms))


async def answer(asked: MetricsAsked, effect: Effect) -> MetricsFound:
    """Find the figures that somebody asked for."""
    try:
        return MetricsFound.model_validate_json(await _ask("metrics", asked, effect))
    except HmsError as error:
        _retry(error, effect)
        response = MetricsResponse(query_id=asked.query_id, from_at=asked.as_of, as_of=asked.as_of, error=str(error))
        return MetricsFound(response=response)


async def rank(asked: CausesAsked, effect: Effect) -> CausesFound:
    """Rank the causes of an incident."""
    try:
        return CausesFound.model_validate_json(await _ask("causes", asked, effect))
    except HmsError as error:
        _retry(error, effect)
        return CausesFound(request_id=asked.request_id, as_of=asked.as_of, error=str(error))


async def analyse(asked: AnalysisTaskAccepted, effect: Effect) -> AnalysisFound:
    """Do an analysis task."""
    try:
        return AnalysisFound.model_validate_json(await _ask("analysis", asked, effect))
    except HmsError as error:
        _retry(error, effect)
        return AnalysisFound(task_id=asked.task_id, as_of=asked.as_of, error=str(error))


def _retry(error: HmsError, effect: Effect) -> None:
    if error.retryable and effect.attempt < ATTEMPTS:
        raise error


async def _ask(what: str, asked: Record, effect: Effect, cpu_ms: int = 60_000) -> str:
    """Ask the process of this log, in a thread; it is ended when nobody waits for its answer any more."""
    looker = looker_of(effect.log_url)
    try:
        return await asyncio.to_thread(looker.ask, what, asked.model_dump_json(), cpu_ms)
    except asyncio.CancelledError:
        looker.close()
        raise
    except OSError as error:
        raise LookFailed(f"the process that looks could not be asked: {error}") from error
