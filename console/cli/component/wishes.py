"""`hms component start|stop|restart|pause|resume|reset`: said to the component's actor, and waited for."""

import asyncio
import math
import socket
import time
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeAlias

from cyclopts import Parameter

from ....core.address import Address
from ....core.client import Asks, Client
from ....core.errors import AskTimedOut
from ....core.user_name import user_name
from ....schemas.component import (
    ComponentStatus,
    DescribeComponent,
    PauseComponent,
    ResetComponent,
    RestartComponent,
    ResumeComponent,
    StartComponent,
    StopComponent,
)
from ..exit_codes import Exit, Stop
from ..freshness import freshness_line
from ..opened import asking
from ..options import DEFAULTS, Options
from ..show import say, show_one
from .status import KIND, item_of

POLL_S: Final = 0.1
ANSWER_MS: Final = 10_000
ANSWER_MIN_S: Final = 1.0
"""So long an answer is waited for, however short --timeout is: it is meant for the outcome."""
ENDED: Final = ("stopped", "exited", "completed", "given_up", "unconfigured")
HIDDEN: Final = ("spec", "exits", "spec_hash")

Why: TypeAlias = Annotated[str, Parameter(help="The reason, for those who ask later")]
Timeout: TypeAlias = Annotated[float, Parameter(help="Seconds to wait for the outcome")]
NoWait: TypeAlias = Annotated[bool, Parameter(help="Return as soon as the wish is recorded")]
Reached: TypeAlias = Callable[[ComponentStatus], bool]


async def start(
    component: str,
    /,
    *,
    why: Why = "",
    timeout: Timeout = 30.0,  # noqa: ASYNC109 - the option's name
    no_wait: NoWait = False,
    options: Options = DEFAULTS,
) -> None:
    """Wish a component up, and wait until it is ready."""
    await _carry_out(component, StartComponent(who=who(), why=why), _started, timeout, no_wait, options)


async def stop(
    component: str,
    /,
    *,
    why: Why = "",
    timeout: Timeout = 30.0,  # noqa: ASYNC109
    no_wait: NoWait = False,
    options: Options = DEFAULTS,
) -> None:
    """Wish a component down, and wait until it is; it stays down until somebody starts it."""
    await _carry_out(component, StopComponent(who=who(), why=why), lambda _: is_down, timeout, no_wait, options)


async def restart(
    component: str,
    /,
    *,
    why: Why = "",
    timeout: Timeout = 30.0,  # noqa: ASYNC109
    no_wait: NoWait = False,
    options: Options = DEFAULTS,
) -> None:
    """Stop a component and start it again, and wait until its next incarnation is ready."""
    wish = RestartComponent(who=who(), why=why)
    await _carry_out(component, wish, lambda before: is_up(before.incarnation + 1), timeout, no_wait, options)


async def pause(component: str, /, *, why: Why = "", options: Options = DEFAULTS) -> None:
    """Hold healing: what dies stays dead until resume."""
    await _say_once(component, PauseComponent(who=who(), why=why), options)


async def resume(component: str, /, *, why: Why = "", options: Options = DEFAULTS) -> None:
    """Heal again, what died meanwhile included."""
    await _say_once(component, ResumeComponent(who=who(), why=why), options)


async def reset(component: str, /, *, why: Why = "", options: Options = DEFAULTS) -> None:
    """Clear `given up` of the component's whole group, and start what is wished up."""
    await _say_once(component, ResetComponent(who=who(), why=why), options)


def who() -> str:
    """Return who asks: USER@HOST."""
    return f"{user_name()}@{socket.gethostname()}"


def is_up(incarnation: int) -> Reached:
    """Return the condition that this incarnation or a later one is ready, or has done what it had to."""

    def reached(status: ComponentStatus) -> bool:
        return status.incarnation >= incarnation and (status.ready or status.phase == "completed")

    return reached


def _started(before: ComponentStatus) -> Reached:
    """Return what to wait for: what has ended is started as a new incarnation, what has not may itself become ready."""
    return is_up(before.incarnation + (before.phase in ENDED))


def is_down(status: ComponentStatus) -> bool:
    """Say whether nothing runs of it."""
    return status.phase in ENDED and status.pid is None


async def _say_once(component: str, wish: Asks[Any, ComponentStatus], options: Options) -> None:
    async with asking(options.url) as client:
        await _answer(client, await _ask(client, component, wish, _unknown(wish)), options)


async def _carry_out(
    component: str,
    wish: Asks[Any, ComponentStatus],
    condition: Callable[[ComponentStatus], Reached],
    timeout: float,  # noqa: ASYNC109
    no_wait: bool,  # noqa: FBT001 - the option
    options: Options,
) -> None:
    async with asking(options.url) as client:
        deadline = time.monotonic() + timeout
        reached = condition(await _before(client, component, timeout))
        status = await _ask(client, component, wish, _unknown(wish), deadline - time.monotonic())
        while not (no_wait or reached(status)):
            _check_hope(status, deadline, timeout)
            await asyncio.sleep(POLL_S)
            left = deadline - time.monotonic()
            status = await _ask(client, component, DescribeComponent(), f"{_unknown(wish)}; the wish stands", left)
        await _answer(client, status, options)


async def _before(client: Client, component: str, timeout: float) -> ComponentStatus:  # noqa: ASYNC109
    """Return how it is before anything is asked of it."""
    try:
        return await _ask(client, component, DescribeComponent(), "", timeout)
    except AskTimedOut as error:
        raise AskTimedOut(
            f"nothing was asked of {component}: the node does not answer; try again in a few seconds, or `hms doctor`"
        ) from error


def _check_hope(status: ComponentStatus, deadline: float, timeout: float) -> None:
    """Raise if what is waited for cannot come any more, or not in time."""
    if status.phase == "given_up":
        raise Stop(
            Exit.FAILED, f"{status.id} was given up: {status.given_up}; see `hms component describe {status.id}`"
        )
    if time.monotonic() > deadline:
        message = f" ({status.message})" if status.message else ""
        raise AskTimedOut(
            f"{status.id} is {status.phase}{message} after {timeout:g} s; the wish stands: see `hms component list`"
        )


def _verb(wish: Asks[Any, ComponentStatus]) -> str:
    """Return what was typed: `stop` for a `StopComponent`."""
    return type(wish).__name__.removesuffix("Component").lower()


def _unknown(wish: Asks[Any, ComponentStatus]) -> str:
    return f"whether `{_verb(wish)}` happens is not known"


async def _ask(
    client: Client,
    component: str,
    message: Asks[Any, ComponentStatus],
    otherwise: str,
    within_s: float = math.inf,
) -> ComponentStatus:
    """Ask the component; `otherwise` is what silence means for the one who typed the command."""
    address: Address[Any] = Address(KIND + component)
    answer_ms = round(min(ANSWER_MS, max(within_s, ANSWER_MIN_S) * 1_000))
    try:
        status: ComponentStatus = await client.ask(address, message, priority="high", timeout_ms=answer_ms)
    except AskTimedOut as error:
        raise AskTimedOut(
            f"no answer from component {component} in {answer_ms / 1_000:g} s: {otherwise}; is a node well? see `hms doctor`"
        ) from error
    return status


async def _answer(client: Client, status: ComponentStatus, options: Options) -> None:
    show_one(item_of(status), options.form, leave_out=HIDDEN)
    say(await freshness_line(client.log))
