"""Topics to subscribe to: protocol, section 4.2. A topic is an actor, `topic/NAME`."""

from .record import Event, Message


class Subscribe(Message):
    """To `topic/NAME`: send me everything that is published there; harmless when repeated."""


class Unsubscribe(Message):
    """To `topic/NAME`: no more."""


class Subscribed(Event):
    """The subscriber (an address) hears what is published from here on."""

    subscriber: str


class Unsubscribed(Event):
    """The subscriber hears nothing more."""

    subscriber: str
