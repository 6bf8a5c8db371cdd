"""A small log for the readers of the past: accounts that pay each other, with timers and effects, on the embedded log."""

import asyncio
import importlib
import textwrap
from contextlib import suppress
from pathlib import Path

from hms.actors.app import hms_app
from hms.core.app import App
from hms.core.client import connect
from hms.core.errors import Refused
from hms.core.log import open_log
from hms.core.log.port import CHECKPOINTS, CO_PARTITIONED, LANES, SCHEMAS, Log
from hms.core.log.sqlite import SqliteLog
from hms.core.runtime.history import LogHistory
from hms.core.runtime.installed import Behaviours
from hms.core.runtime.node import Node
from hms.core.runtime.restore import restore
from hms.core.runtime.shard_options import ShardOptions
from hms.replay.apps import load_app
from hms.schemas import partition_of

SHOP = """
from hms import App, Behaviour, Context, Decision, Effect, Event, Message, State, accept, on, refuse, send
from hms.core.decision import timer

class Balance(Message): cents: int
class Deposit(Message[Balance]): cents: int
class Transfer(Message[Balance]): cents: int; to: str
class Remind(Message): pass
class Crash(Message): pass

class Deposited(Event): cents: int
class Withdrawn(Event): cents: int; to: str
class Reminded(Event): pass

class Account(State): cents: int = 0; reminders: int = 0

AccountMessage = Deposit | Transfer | Remind | Crash
AccountEvent = Deposited | Withdrawn | Reminded

def decide(state: Account, message: AccountMessage, context: Context) -> Decision[AccountEvent]:
    match message:
        case Deposit():
            return accept(Deposited(cents=message.cents), reply=Balance(cents=state.cents + message.cents))
        case Transfer() if message.cents > state.cents:
            return refuse("insufficient_funds", "deposit first")
        case Transfer():
            credit = send(account(message.to), Deposit(cents=message.cents))
            moved = Withdrawn(cents=message.cents, to=message.to)
            left = Balance(cents=state.cents - message.cents)
            return accept(moved, send=[credit], timers=[timer("remind", 2000, Remind())], reply=left)
        case Remind():
            return accept(Reminded())
    raise ValueError("boom")

def evolve(state: Account, event: AccountEvent) -> Account:
    match event:
        case Deposited():
            return Account(cents=state.cents + event.cents, reminders=state.reminders)
        case Withdrawn():
            return Account(cents=state.cents - event.cents, reminders=state.reminders)
        case Reminded():
            return Account(cents=state.cents, reminders=state.reminders + 1)

async def tell(event: Withdrawn, effect: Effect) -> None:
    return None

account = Behaviour("account", initial=Account, decide=decide, evolve=evolve, effects=[on(Withdrawn, tell)])
app = App("replayed_shop", account)
"""
MODULE = "replayed_shop"
APP = f"{MODULE}:app"
PARTITIONS = 4


def write_module(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write the shop's code, with some words of it changed, into a folder to import it from."""
    text = SHOP
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{MODULE}.py").write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


def shop() -> App:
    return load_app(APP)


def make_log(path: Path) -> str:
    """Run a node until all is handled: ten deposits, five transfers, a refusal, a crash, reminders. Return the URL."""
    url = f"sqlite:{path}"
    asyncio.run(_make(url))
    return url


async def _make(url: str) -> None:
    log = await SqliteLog.open(Path(url.removeprefix("sqlite:")), partitions=PARTITIONS)
    module = importlib.import_module(MODULE)
    account = module.account
    async with Node(log, [hms_app, shop()], name="shop"), connect(log, name="till") as till:
        for _ in range(10):
            await till.ask(account("anna"), module.Deposit(cents=100))
        for number in range(5):
            await till.ask(account("anna"), module.Transfer(cents=60, to="ben"), id=f"order-{number}")
        with suppress(Refused):
            await till.ask(account("ben"), module.Transfer(cents=10_000, to="anna"), id="too-much")
        await till.tell(account("cleo"), module.Crash(), id="crash")
        await till.ask(account("anna"), module.Transfer(cents=0, to="ben"))
        while not await _is_quiet(log):  # noqa: ASYNC110 - a log has no event to wait for
            await asyncio.sleep(0.1)
    await log.close()


async def _is_quiet(log: Log) -> bool:
    """Tell whether the reminders have come and every shard that was busy has written its checkpoints."""
    shards = {partition_of(f"account/{name}", PARTITIONS) for name in ("anna", "ben")}
    marks = [await log.watermarks(CHECKPOINTS, shard) for shard in shards]
    return all(mark.high for mark in marks) and all([await _is_done(log, shard) for shard in range(PARTITIONS)])


async def _is_done(log: Log, shard: int) -> bool:
    """Tell whether a shard has nothing left to read, and no timer or effect before it."""
    memory = await restore(log, shard, Behaviours((hms_app, shop())), ShardOptions(), LogHistory(log))
    marks = [await log.watermarks(lane, shard) for lane in LANES]
    if any(position < mark.high for position, mark in zip(memory.head.positions, marks, strict=True)):
        return False
    cells = [memory.actors.get(address) for address in memory.actors.addresses()]
    return not any(cell is not None and (cell.timers or cell.effects) for cell in cells)


async def high_marks(log: Log) -> list[int]:
    """Return the high watermarks of every partition."""
    places = [(topic, shard) for topic in CO_PARTITIONED for shard in range(PARTITIONS)] + [(SCHEMAS, 0)]
    return [(await log.watermarks(*place)).high for place in places]


def marks_of(url: str) -> list[int]:
    """Return the high watermarks of a log that nobody has open."""

    async def look() -> list[int]:
        log = await open_log(url)
        try:
            return await high_marks(log)
        finally:
            await log.close()

    return asyncio.run(look())
