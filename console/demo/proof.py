"""The proof: what the log folds to is what the operating system shows, process by process."""

import asyncio
from typing import Any, Final, NamedTuple

import psutil

from ...actors.fleet import read_fleet
from ...actors.host import boot_id, start_ticks
from ...core.log.port import Log
from ...core.runtime.view import View
from ..session import load_apps
from .stage import Stage

PATIENCE_S: Final = 3.0
POLL_S: Final = 0.1


class Comparison(NamedTuple):
    """One component: what the fold says, and what runs."""

    component: str
    folded: str
    running: str

    @property
    def equal(self) -> bool:
        """Whether they are the same."""
        return self.folded == self.running


async def prove(stage: Stage) -> list[Comparison]:
    """Compare every component; what is on its way (a commit, an exit) gets three seconds to arrive."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while True:
        found = await _compare(stage)
        if all(each.equal for each in found) or asyncio.get_running_loop().time() > deadline:
            return found
        await asyncio.sleep(POLL_S)


async def _compare(stage: Stage) -> list[Comparison]:
    names = [spec.id for spec in read_fleet(stage.file).components]
    states = {name: await _state(stage.log, name) for name in names}
    real = _real(stage)
    return [Comparison(name, _folded(states[name]), real.get(name, "no process")) for name in names]


async def _state(log: Log, component: str) -> Any:
    seen = await View(log, load_apps(())).actor(f"component/{component}")
    return None if seen is None else seen.state


def _folded(state: Any) -> str:
    phase = getattr(state, "phase", None)
    if phase is None or phase.kind != "running":
        return "no process"
    boot = "this boot" if phase.boot_id == boot_id() else "another boot"
    return f"pid {phase.pid}, start {phase.start_ticks}, {boot}"


def _real(stage: Stage) -> dict[str, str]:
    """Return what the operating system shows, by the component's name in each process's environment."""
    found: dict[str, list[str]] = {}
    for process in stage.processes():
        try:
            component = process.environ().get("HMS_COMPONENT")
        except psutil.Error:
            continue
        if component is not None:
            found.setdefault(component, []).append(f"pid {process.pid}, start {start_ticks(process.pid)}, this boot")
    return {component: " and ".join(processes) for component, processes in found.items()}
