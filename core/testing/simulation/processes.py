"""Runs of `hms node` in a simulated world: each can be killed, stopped and continued at any step."""

import asyncio
from typing import TYPE_CHECKING

from ...errors import OutsideError, ValidationFailed
from ...runtime.node import Node
from ..virtual_clock import VirtualClock
from .cast import behaviours, older_behaviours

if TYPE_CHECKING:
    from .world import World


class NodeProcess:
    """One run of a node under a name; the next run of that name is another process."""

    def __init__(self, world: "World", name: str, run: int, *, older: bool = False) -> None:
        self.name = name
        self.process = f"{name}#{run}"
        self.run = run
        self.older = older
        """Whether its code is older than that of the others."""
        self.alive = True
        self.stopped = False
        self.clock = VirtualClock(world.loop)
        self.node: Node | None = None
        self._world = world
        self._log = world.broker.connect(self.process)
        with world.loop.process(self.process):
            world.loop.create_task(self._main(), name=self.process)
        world.note(self.process, "started")

    async def _main(self) -> None:
        cast = older_behaviours() if self.older else behaviours()
        while True:
            node = Node(self._log, cast, name=self.name, clock=self.clock, options=self._world.plan.options)
            try:
                await node.start()
            except ValidationFailed as error:
                if not self.older:
                    raise
                self._world.note(self.process, f"came too late: {error}")
                return
            except OutsideError as error:
                self._world.note(self.process, f"could not start: {error}")
                await asyncio.sleep(0.05)
            else:
                self.node = node
                return

    @property
    def unfit(self) -> bool:
        """Whether it has found that it must own nothing."""
        return self.node is not None and bool(self.node.statistics().unfit)

    def kill(self) -> None:
        """End it as SIGKILL does: nothing of it runs any more, its transaction stays open, its lease runs out."""
        self._world.note(self.process, "killed")
        self.alive = False
        self._world.loop.stop_process(self.process)
        self._world.broker.crash(self.process)

    def stop(self) -> None:
        """Stop it as SIGSTOP does."""
        self._world.note(self.process, "stopped")
        self.stopped = True
        self._world.loop.stop_process(self.process)
        self._world.broker.pause(self.process)

    def go_on(self) -> None:
        """Let it go on; it does not know that it was away, and takes a while to hear who has its shards now."""
        self._world.note(self.process, "goes on")
        self.stopped = False
        self._world.broker.resume(self.process)
        for membership in self._log.members.values():
            membership.believe_on(self._world.random.choice((0, 20, 200)))
        self._world.loop.continue_process(self.process)
