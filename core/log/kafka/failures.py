"""What goes wrong on the way to Kafka, in the port's words, and a deadline round every call.

aiokafka's own time-outs do not bound a call: it retries for as long as the broker gives errors that it thinks will pass.
"""

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

from aiokafka import errors

from ...errors import HmsError, LogUnreachable, NotAuthorised

DEADLINE_S: Final = 10.0
"""For a whole call of the port, retries included."""
FAILURES: Final = (errors.KafkaError, OSError, TimeoutError)
"""What a call on a client of aiokafka raises when it is the broker, or the way there, that failed."""
FORBIDDEN: Final = (
    errors.TopicAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
    errors.TransactionalIdAuthorizationFailed,
    errors.AuthenticationFailedError,
    errors.AuthenticationMethodNotSupported,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
    errors.SaslAuthenticationFailed,
)

T = TypeVar("T")


def failure(error: BaseException, what: str) -> HmsError:
    """Return the port's error for one of `FAILURES`; `what` names the call: `read hms.events/3`."""
    if isinstance(error, HmsError):
        return error
    if isinstance(error, FORBIDDEN):
        return NotAuthorised(
            f"{what}: Kafka refuses this client: {describe(error)}; `hms log init` prints the ACLs it needs"
        )
    return LogUnreachable(f"{what}: Kafka cannot: {describe(error)}; is the cluster healthy? `hms doctor` looks")


def describe(error: BaseException) -> str:
    """Return an error's name and text; a name alone often says more than aiokafka's text."""
    text = str(error).strip()
    name = type(error).__name__
    return text if text.startswith(("[Error", name)) else f"{name}: {text}" if text else name


def check_code(code: int) -> None:
    """Raise Kafka's error for a code in an answer, one of `FAILURES`; 0 is none."""
    if code:
        error: Exception = errors.for_code(code)()
        raise error


async def within(seconds: float, call: Awaitable[T], what: str) -> T:
    """Await the call; raises `LogUnreachable` at the deadline (the call is cancelled) or for one of `FAILURES`."""
    try:
        async with asyncio.timeout(seconds) as scope:
            return await call
    except FAILURES as error:
        if isinstance(error, TimeoutError) and scope.expired():
            raise LogUnreachable(f"{what}: no answer from Kafka within {seconds:g} s; is a broker down?") from error
        raise failure(error, what) from error
