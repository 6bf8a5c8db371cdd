"""A behaviour that does whatever a message asks of it, and a node to try it on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from hms.core.app import App
from hms.core.behaviour import Behaviour, Context
from hms.core.client import Client, connect
from hms.core.decision import Decision, accept, refuse, timer
from hms.core.log.port import CHECKPOINTS, DEAD_LETTERS, NORMAL, Draft, Log
from hms.core.log.simulated import SimulatedBroker
from hms.core.runtime.node import Node
from hms.core.runtime.shard_options import ShardOptions
from hms.schemas import Envelope, Event, Message, Record, State, new_id


class Said(Record):
    text: str


class Do(Message[Said]):
    what: str
    count: int = 0


class Did(Event):
    what: str
    count: int = 0


class Elsewhere(Event):
    pass


class Held(State):
    total: int = 0
    text: str = ""


class Poke(Message):
    pass


def decide(_: Held, message: Do, __: Context) -> Decision[Did]:  # noqa: PLR0911 - a line a mischief
    match message.what:
        case "return nothing":
            return None  # type: ignore[return-value]
        case "raise cancelled":
            raise asyncio.CancelledError
        case "raise surrogate":
            raise ValueError("no such file: \udcff")
        case "refuse at length":
            return refuse("long", "x" * 1_000_000)
        case "refuse surrogate":
            return refuse("bad", "\ud800")
        case "foreign event":
            return accept(Elsewhere())  # type: ignore[arg-type]
        case "say much":
            return accept(reply=Said(text="x" * message.count))
        case "set a timer":
            return accept(timers=[timer("t", message.count, Do(what="from the timer"))])
    return accept(Did(what=message.what, count=message.count), reply=Said(text="done"))


def evolve(state: Held, event: Did) -> Held:
    match event.what:
        case "evolve to nothing":
            return None  # type: ignore[return-value]
        case "state of a wrong type":
            return state.model_copy(update={"total": "text"})
        case "grow":
            return state.model_copy(update={"text": state.text + "x" * event.count})
    return state.model_copy(update={"total": state.total + event.count})


def decide_elsewhere(_: Held, __: Poke, ___: Context) -> Decision[Elsewhere]:
    return accept(Elsewhere())


def evolve_elsewhere(state: Held, _: Elsewhere) -> Held:
    return state


doer = Behaviour("doer", initial=Held, decide=decide, evolve=evolve)
FAST = ShardOptions(idle_ms=20)
APP = App("regressions", doer, Behaviour("elsewhere", initial=Held, decide=decide_elsewhere, evolve=evolve_elsewhere))


class World(NamedTuple):
    log: Log
    node: Node
    client: Client

    async def works_on(self) -> int:
        """Ask another actor of the shard; return the epoch: 1 when the shard was never dropped."""
        assert await self.client.ask(doer("bystander"), Do(what="live"), timeout_ms=30_000) == Said(text="done")
        return self.node.statistics().shards[0].epoch

    async def dead_letter_count(self) -> int:
        return len((await self.log.read(DEAD_LETTERS, 0, 0)).records)

    async def put(self, what: str, **changes: Any) -> None:
        """Append a message as a stranger would, with an envelope of his making."""
        record_type = await self.client._type_of(Do)
        id_ = new_id(self.client._clock.wall_us())
        envelope = Envelope(id_, "client/stranger", "doer/a", record_type.name, 1, "correlation")._replace(**changes)
        value = record_type.encode(Do(what=what), envelope)
        await self.log.append([Draft(NORMAL, 0, envelope.destination.encode(), value)])


@asynccontextmanager
async def world(
    broker: SimulatedBroker | None = None, app: App = APP, options: ShardOptions = FAST
) -> AsyncIterator[World]:
    log = (broker or SimulatedBroker(1)).connect("process")
    async with (
        Node(log, [app], name="node", options=options) as node,
        connect(log, name="test") as client,
    ):
        await asyncio.wait_for(node.wait_owning(1), 30)
        yield World(log, node, client)
    await log.close()


def play(history: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with world() as here:
            await history(here)

    asyncio.run(main())


async def checkpointed(here: World) -> None:
    """Wait until the shard, idle, has written checkpoints."""
    async with asyncio.timeout(30):
        while not (await here.log.read(CHECKPOINTS, 0, 0)).records:
            await here.log.wait({(CHECKPOINTS, 0): 0}, 50)


async def idle_commits(here: World) -> None:
    """Let the shard be idle for a few rounds, so that it wrote what it could write."""
    await here.works_on()
    await checkpointed(here)
    for _ in range(3):
        await here.log.wait({(NORMAL, 0): 1 << 30}, 30)
