"""An app of a user's own, as a file beside a fleet: counters that add up, `counting:app`."""

COUNTING = """
from hms import App, Behaviour, Context, Decision, Event, Message, State, accept

class Total(Message): total: int
class Add(Message[Total]): amount: int
class Added(Event): amount: int
class Count(State): total: int = 0

def decide(state: Count, message: Add, context: Context) -> Decision[Added]:
    return accept(Added(amount=message.amount), reply=Total(total=state.total + message.amount))

def evolve(state: Count, event: Added) -> Count:
    return Count(total=state.total + event.amount)

counter = Behaviour("counter", initial=Count, decide=decide, evolve=evolve)
app = App("counting", counter)
"""
