"""The work of most measurements: counters that take `Add` and answer with how often they were told; and logs full of it."""

from collections.abc import Iterator

from hms import App, Behaviour, Context, Decision, Event, Message, State, accept, connect
from hms.core.client import Client
from hms.core.decision import Priority
from hms.core.log import open_log
from hms.core.log.port import Draft, Log

APPEND_RECORDS = 2_000


class Count(Message):
    """The answer."""

    count: int


class Add(Message[Count]):
    """The command."""

    amount: int


class Added(Event):
    """What it leads to."""

    amount: int


class Total(State):
    """What the events make."""

    count: int = 0
    total: int = 0


def decide(state: Total, message: Add, _context: Context) -> Decision[Added]:
    return accept(Added(amount=message.amount), reply=Count(count=state.count + 1))


def evolve(state: Total, event: Added) -> Total:
    return Total(count=state.count + 1, total=state.total + event.amount)


counter = Behaviour("counter", initial=Total, decide=decide, evolve=evolve)
app = App("bench", counter)


def batches(count: int, size: int = APPEND_RECORDS) -> Iterator[range]:
    return (range(start, min(start + size, count)) for start in range(0, count, size))


async def command(client: Client, actor: str, priority: Priority, *, answer: bool) -> Draft:
    """What `tell` (or, wanting an answer, `ask`) appends, without waiting for anything."""
    reply_to = client._outbox.address if answer else None
    return await client._draft(actor, Add(amount=1), client._new_id(), reply_to, priority, None)


async def backlog(
    url: str, commands: int, actors: int, *, priority: Priority = "normal", answer: bool = True
) -> dict[str, int]:
    """Make a log that holds so many commands from outside, and no node yet."""
    log = await open_log(url)
    await fill(log, commands, actors, priority, answer=answer)
    await log.close()
    return {"commands": commands}


async def fill(log: Log, commands: int, actors: int, priority: Priority = "normal", *, answer: bool) -> None:
    """Append so many commands, to each of the actors in turn."""
    async with connect(log, name="bench") as client:
        for numbers in batches(commands):
            drafts = [await command(client, f"counter/{n % actors}", priority, answer=answer) for n in numbers]
            await log.append(drafts)
