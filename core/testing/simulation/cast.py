"""The actors of the simulation: small, and each with something to lose.

Accounts hold money that must neither vanish nor multiply; registers keep every operation in order; watchdogs judge
silence by timers; couriers act in the world; faulty ones raise where it hurts.
"""

from contextvars import ContextVar
from functools import lru_cache
from typing import assert_never

from ....schemas import Event, Message, State
from ...app import App
from ...behaviour import Behaviour, Context, Effect, on
from ...decision import Decision, accept, cancel, refuse, send, timer
from ...runtime.installed import Behaviours
from ...runtime.records import EffectFailed, MessageRefused
from .far_side import FarSide

far_side: ContextVar[FarSide] = ContextVar("far_side")
SILENCE_MS = 150
SILENCES_MAX = 3


# --- accounts: transfers conserve money, and what the other side refuses comes back ---------------------------------


class Balance(Message):
    """What an account holds."""

    cents: int


class Deposit(Message[Balance]):
    """Put money in."""

    cents: int


class Transfer(Message[Balance]):
    """Move money to another account."""

    cents: int
    to: str


class Deposited(Event):
    """Money came in."""

    cents: int


class Withdrawn(Event):
    """Money went out, on its way under a correlation id."""

    cents: int
    transfer: str


class Refunded(Event):
    """The other side refused; the money is back."""

    transfer: str


class Account(State):
    """The balance, and what is or was on its way out."""

    cents: int = 0
    sent: dict[str, int] = {}


def decide_account(
    state: Account, message: Deposit | Transfer | MessageRefused, context: Context
) -> Decision[Deposited | Withdrawn | Refunded]:
    """Move money; accounts whose key begins with `closed` take none."""
    match message:
        case Deposit():
            if context.actor.startswith("account/closed"):
                return refuse("closed", "this account takes no money")
            return accept(Deposited(cents=message.cents), reply=Balance(cents=state.cents + message.cents))
        case Transfer():
            if message.cents > state.cents:
                return refuse("insufficient_funds", f"asked {message.cents}, there are {state.cents}")
            moved = Withdrawn(cents=message.cents, transfer=context.correlation_id)
            credit = send(account(message.to), Deposit(cents=message.cents))
            return accept(moved, send=[credit], reply=Balance(cents=state.cents - message.cents))
        case MessageRefused():
            return accept(Refunded(transfer=context.correlation_id))
        case _:
            assert_never(message)


def evolve_account(state: Account, event: Deposited | Withdrawn | Refunded) -> Account:
    """Fold."""
    match event:
        case Deposited():
            return state.model_copy(update={"cents": state.cents + event.cents})
        case Withdrawn():
            return Account(cents=state.cents - event.cents, sent={**state.sent, event.transfer: event.cents})
        case Refunded():
            return Account(cents=state.cents + state.sent[event.transfer], sent=state.sent)
        case _:
            assert_never(event)


# --- registers: every operation once, in order ------------------------------------------------------------------------


class Size(Message):
    """How many operations a register holds."""

    count: int


class Append(Message[Size]):
    """Add an operation; with `relay_to` the register asks another one to add it too and counts the answer."""

    operation: str
    relay_to: str = ""


class Appended(Event):
    """An operation was added."""

    operation: str


class Confirmed(Event):
    """Another register answered."""

    count: int


class Register(State):
    """The operations in order, and the answers of others."""

    operations: tuple[str, ...] = ()
    confirmations: int = 0


def decide_register(state: Register, message: Append | Size, context: Context) -> Decision[Appended | Confirmed]:
    """Add, or take note of an answer."""
    match message:
        case Append():
            further = (
                [send(register(message.relay_to), Append(operation=f"relay {context.message_id}"), reply=True)]
                if message.relay_to
                else []
            )
            answer = Size(count=len(state.operations) + 1)
            return accept(Appended(operation=message.operation), send=further, reply=answer)
        case Size():
            return accept(Confirmed(count=message.count))
        case _:
            assert_never(message)


def evolve_register(state: Register, event: Appended | Confirmed) -> Register:
    """Fold."""
    match event:
        case Appended():
            return state.model_copy(update={"operations": (*state.operations, event.operation)})
        case Confirmed():
            return state.model_copy(update={"confirmations": state.confirmations + 1})
        case _:
            assert_never(event)


# --- watchdogs: nobody is judged silent who was heard -----------------------------------------------------------------


class Beat(Message):
    """A sign of life; the last one says so."""

    last: bool = False


class Silence(Message):
    """Nothing was heard for a while."""


class Heard(Event):
    """A sign of life came."""


class Dismissed(Event):
    """The watch is over."""


class FoundSilent(Event):
    """Nothing was heard for a while."""

    count: int


class Watch(State):
    """How often something, and how often nothing was heard."""

    heard: int = 0
    silent: int = 0


def decide_watchdog(
    state: Watch, message: Beat | Silence, _context: Context
) -> Decision[Heard | Dismissed | FoundSilent]:
    """Watch again after each sign of life, and a few times after silence."""
    again = timer("silence", SILENCE_MS, Silence())
    match message:
        case Beat():
            return accept(Dismissed(), timers=[cancel("silence")]) if message.last else accept(Heard(), timers=[again])
        case Silence():
            more = [again] if state.silent + 1 < SILENCES_MAX else []
            return accept(FoundSilent(count=state.silent + 1), timers=more)
        case _:
            assert_never(message)


def evolve_watchdog(state: Watch, event: Heard | Dismissed | FoundSilent) -> Watch:
    """Fold."""
    match event:
        case Heard():
            return Watch(heard=state.heard + 1, silent=0)
        case Dismissed():
            return state
        case FoundSilent():
            return state.model_copy(update={"silent": event.count})
        case _:
            assert_never(event)


# --- couriers: act in the world after the commit ----------------------------------------------------------------------


class Ship(Message):
    """Have something delivered; `troubles` attempts fail first, -1: it can never be delivered."""

    parcel: str
    troubles: int = 0


class Delivered(Message):
    """The far side has it."""

    parcel: str


class Shipped(Event):
    """To be delivered."""

    parcel: str
    troubles: int


class Arrived(Event):
    """The far side has it."""

    parcel: str


class Lost(Event):
    """It can never be delivered."""

    error: str


class Courier(State):
    """What is under way and what became of the rest."""

    shipped: int = 0
    arrived: tuple[str, ...] = ()
    lost: int = 0


def decide_courier(
    _state: Courier, message: Ship | Delivered | EffectFailed, _context: Context
) -> Decision[Shipped | Arrived | Lost]:
    """Ship, and note what came of it."""
    match message:
        case Ship():
            return accept(Shipped(parcel=message.parcel, troubles=message.troubles))
        case Delivered():
            return accept(Arrived(parcel=message.parcel))
        case EffectFailed():
            return accept(Lost(error=message.error))
        case _:
            assert_never(message)


def evolve_courier(state: Courier, event: Shipped | Arrived | Lost) -> Courier:
    """Fold."""
    match event:
        case Shipped():
            return state.model_copy(update={"shipped": state.shipped + 1})
        case Arrived():
            return state.model_copy(update={"arrived": (*state.arrived, event.parcel)})
        case Lost():
            return state.model_copy(update={"lost": state.lost + 1})
        case _:
            assert_never(event)


async def deliver(event: Shipped, effect: Effect) -> Delivered:
    """Act in the world."""
    await far_side.get().deliver(effect, event.parcel, event.troubles)
    return Delivered(parcel=event.parcel)


# --- faulty ones: raise where it hurts --------------------------------------------------------------------------------


class Boom(Message):
    """Its decision raises."""


class Corrupt(Message):
    """Its event cannot be folded."""


class Fine(Message):
    """Nothing wrong with it."""


class Corrupted(Event):
    """Nobody can fold this."""


class WentFine(Event):
    """Nothing was wrong."""


class Faulty(State):
    """How often nothing was wrong."""

    fine: int = 0


def decide_faulty(_state: Faulty, message: Boom | Corrupt | Fine, _context: Context) -> Decision[Corrupted | WentFine]:
    """Raise, corrupt, or be fine."""
    match message:
        case Boom():
            raise RuntimeError("poison")
        case Corrupt():
            return accept(Corrupted())
        case Fine():
            return accept(WentFine())
        case _:
            assert_never(message)


def evolve_faulty(state: Faulty, event: Corrupted | WentFine) -> Faulty:
    """Fold what can be folded."""
    match event:
        case Corrupted():
            raise RuntimeError("cannot be folded")
        case WentFine():
            return Faulty(fine=state.fine + 1)
        case _:
            assert_never(event)


account = Behaviour("account", initial=Account, decide=decide_account, evolve=evolve_account)
register = Behaviour("register", initial=Register, decide=decide_register, evolve=evolve_register)
watchdog = Behaviour("watchdog", initial=Watch, decide=decide_watchdog, evolve=evolve_watchdog)
courier = Behaviour(
    "courier", initial=Courier, decide=decide_courier, evolve=evolve_courier, effects=[on(Shipped, deliver)]
)
faulty = Behaviour("faulty", initial=Faulty, decide=decide_faulty, evolve=evolve_faulty)
app = App("cast", account, register, watchdog, courier, faulty)


@lru_cache(1)
def behaviours() -> Behaviours:
    """Return the cast as nodes run it; all nodes of a process share it, because making it takes longer than a run."""
    return Behaviours((app,))


@lru_cache(1)
def older_behaviours() -> Behaviours:
    """Return the cast as it was before most of it was written."""
    return Behaviours((App("cast", account, watchdog),))
