"""`hms agent`: run what a fleet places on this host, beside the `hms up` of another one."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeVar

from cyclopts import Parameter

from ..actors.agent import HostAgent, binding_of, claim_name
from ..actors.agent.agent import PERIOD_MS
from ..actors.agent.binding import Binding
from ..actors.host import HostBusy
from ..actors.host.host_id import host_id, state_folder
from ..core.errors import OutsideError
from ..core.log.open import open_log
from ..core.log.port import Log
from ..core.runtime.collector import relax
from .cli.exit_codes import Exit, Stop
from .cli.opened import quiet
from .cli.options import DEFAULTS, HeartbeatOption, Options
from .cli.show import say
from .session.lasting_output import outlive_output

HostOption = Annotated[str, Parameter(help="Which of the fleet file's hosts this one is")]
POLL_S: Final = 0.5
RETRY_S: Final = 2.0
T = TypeVar("T")


def agent(*, host: HostOption, heartbeat_ms: HeartbeatOption = PERIOD_MS, options: Options = DEFAULTS) -> int:
    """Run the components that a fleet places on this host.

    It needs a log that both hosts reach, and nodes on it: `hms up` is one. TERM (or Ctrl-C) ends the agent; what it
    runs goes on, and the next agent takes it over. What may fail over stops by itself when no agent renews its lease.
    """
    outlive_output()
    quiet()
    relax()
    try:
        return asyncio.run(_run(host, heartbeat_ms, options))
    except HostBusy as error:
        raise Stop(Exit.FAILED, str(error)) from error


async def _run(name: str, heartbeat_ms: int, options: Options) -> int:
    ending = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    log = await open_log(options.url)
    try:
        binding = await _until_answered(lambda: _fleet_of(log, ending), ending)
        if binding is not None:
            await _until_answered(lambda: claim_name(log, name, host_id(state_folder())), ending)
            await _attend(log, binding, name, heartbeat_ms, ending)
    finally:
        await log.close()
    return Exit.OK


async def _until_answered(question: Callable[[], Awaitable[T]], ending: asyncio.Event) -> T | None:
    """Ask until the log answers: an agent that gave up would leave its host alone. None if told to end before."""
    while not ending.is_set():
        try:
            return await question()
        except OutsideError as error:
            say(f"hms: {error}")
            await _within(ending, RETRY_S)
    return None


async def _fleet_of(log: Log, ending: asyncio.Event) -> Binding | None:
    """Wait until a fleet is at home on the log; None if told to end before."""
    told = False
    while (bound := await binding_of(log)) is None and not ending.is_set():
        if not told:
            say(f"hms: {log.url} holds no fleet yet: waiting for the first `hms up`")
            told = True
        await _within(ending, POLL_S)
    return bound


async def _within(ending: asyncio.Event, seconds: float) -> None:
    await asyncio.wait({waiting := asyncio.ensure_future(ending.wait())}, timeout=seconds)
    waiting.cancel()


async def _attend(log: Log, binding: Binding, name: str, heartbeat_ms: int, ending: asyncio.Event) -> None:
    agent = await HostAgent.open(binding.fleet, name=name, period_ms=heartbeat_ms)
    try:
        adopted = agent.running()
        await _until_answered(lambda: agent.connect(log, binding), ending)
        say(f"hms: agent of {binding.fleet} on {name}, {log.url}{_taken_over(adopted)}")
        await ending.wait()
        await agent.disconnect()
    finally:
        await agent.close()
    say(f"hms: agent of {binding.fleet} on {name} ends; what it runs goes on")


def _taken_over(adopted: dict[str, int]) -> str:
    return f"; took over {len(adopted)} running: {', '.join(sorted(adopted))}" if adopted else ""
