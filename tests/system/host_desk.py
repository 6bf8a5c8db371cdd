"""A host to command and to hear, over real processes."""

import asyncio
import contextlib
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil

from hms.actors.host import (
    Fact,
    Host,
    HostCommand,
    RestartBudget,
    Started,
)
from hms.schemas.fleet import ComponentSpec

SLEEP = ("sleep", "300")


def command(
    component: str, incarnation: int, *words: str, desired: str = "up", count: int = 0, **spec: Any
) -> HostCommand:
    return HostCommand.model_validate(
        {
            "component": component,
            "incarnation": incarnation,
            "desired": desired,
            "spec": ComponentSpec.model_validate({"id": component, "command": words or SLEEP, **spec}),
            "spec_hash": "h",
            "budget": RestartBudget(count=count),
        }
    )


class Desk:
    """An agent and all that it told."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.facts: list[Fact] = []
        self.host: Host

    async def open(self) -> None:
        self.host = await Host.open("shop", self.facts.append, state=self.state, sample_ms=50)

    def heard(self, kind: type[Any], component: str = "web") -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind) and fact.component == component]

    async def hear(self, kind: type[Any], component: str = "web", number: int = 1) -> Any:
        await until(lambda: len(self.heard(kind, component)) >= number)
        return self.heard(kind, component)[number - 1]

    async def up(self, *words: str, incarnation: int = 1, **spec: Any) -> Started:
        assert await self.host.obey(command("web", incarnation, *words, **spec))
        await until(lambda: any(fact.incarnation == incarnation for fact in self.heard(Started)))
        started = self.heard(Started)[-1]
        assert isinstance(started, Started)
        return started

    def run_folder(self, run: str = "1.0") -> Path:
        return self.state / "fleets/shop/components/web" / run


@contextlib.asynccontextmanager
async def desk(state: Path) -> AsyncIterator[Desk]:
    made = Desk(state)
    await made.open()
    try:
        yield made
    finally:
        await made.host.kill_all()
        await made.host.close()


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        await asyncio.sleep(0.01)


def run(state: Path, work: Callable[[Desk], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with desk(state) as made:
            await work(made)

    asyncio.run(main())


def alive(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def shim_of(pid: int) -> psutil.Process:
    parent = psutil.Process(pid).parent()
    assert parent is not None
    return parent


def lines_of(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def agent_that_is_killed(state: Path, *words: str) -> int:
    """Run an agent in a process of its own, let it start `words` as web, kill it; return the component's pid."""
    source = textwrap.dedent(f"""
        import asyncio, sys
        from hms.actors.host import Host, HostCommand, Started
        from hms.schemas.fleet import ComponentSpec
        def tell(fact):
            if isinstance(fact, Started):
                print(fact.pid, flush=True)
        async def main():
            host = await Host.open("shop", tell, state={str(state)!r})
            spec = ComponentSpec(id="web", command={words!r})
            await host.obey(HostCommand(component="web", incarnation=1, desired="up", spec=spec, spec_hash="h"))
            await asyncio.sleep(60)
        asyncio.run(main())
    """)
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        pid = int(agent.stdout.readline())
        agent.kill()
    assert alive(pid)
    return pid
