"""The work of the measurement of timers: actors that set many, and note each that rings."""

from datetime import UTC, datetime, timedelta

from hms import App, Behaviour, Context, Decision, Event, Message, State, accept, timer

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Arm(Message):
    """Set so many timers, all due at one instant."""

    count: int
    due_us: int


class Ring(Message):
    """What a timer says."""

    number: int


class Armed(Event):
    """The timers are set."""

    count: int


class Rang(Event):
    """One has fired."""

    number: int


class Rung(State):
    """How many have."""

    count: int = 0


def decide(_state: Rung, message: Arm | Ring, context: Context) -> Decision[Armed | Rang]:
    if isinstance(message, Ring):
        return accept(Rang(number=message.number))
    after_ms = max(0, message.due_us // 1_000 - (context.now - EPOCH) // timedelta(milliseconds=1))
    timers = [timer(f"t{number}", after_ms, Ring(number=number)) for number in range(message.count)]
    return accept(Armed(count=message.count), timers=timers)


def evolve(state: Rung, event: Armed | Rang) -> Rung:
    return Rung(count=state.count + 1) if isinstance(event, Rang) else state


app = App("alarms", Behaviour("alarm", initial=Rung, decide=decide, evolve=evolve))
