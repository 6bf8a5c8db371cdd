"""HMS: an event-sourced actor system on a durable log, and the supervisors that keep a fleet alive with it."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .core.address import Address as Address
    from .core.address import participant as participant
    from .core.app import App as App
    from .core.behaviour import Behaviour as Behaviour
    from .core.behaviour import Context as Context
    from .core.behaviour import Effect as Effect
    from .core.behaviour import on as on
    from .core.client import Asks as Asks
    from .core.client import Client as Client
    from .core.client import Recorded as Recorded
    from .core.client import connect as connect
    from .core.decision import Decision as Decision
    from .core.decision import Send as Send
    from .core.decision import Timer as Timer
    from .core.decision import accept as accept
    from .core.decision import cancel as cancel
    from .core.decision import refuse as refuse
    from .core.decision import send as send
    from .core.decision import timer as timer
    from .core.errors import AskTimedOut as AskTimedOut
    from .core.errors import HmsError as HmsError
    from .core.errors import LogUnreachable as LogUnreachable
    from .core.errors import Refused as Refused
    from .core.runtime.records import EffectFailed as EffectFailed
    from .core.runtime.records import MessageRefused as MessageRefused
    from .schemas import Envelope as Envelope
    from .schemas import Event as Event
    from .schemas import Message as Message
    from .schemas import Record as Record
    from .schemas import State as State

_HOME = {
    "core.address": ("Address", "participant"),
    "core.app": ("App",),
    "core.behaviour": ("Behaviour", "Context", "Effect", "on"),
    "core.client": ("Asks", "Client", "Recorded", "connect"),
    "core.decision": ("Decision", "Send", "Timer", "accept", "cancel", "refuse", "send", "timer"),
    "core.errors": ("AskTimedOut", "HmsError", "LogUnreachable", "Refused"),
    "core.runtime.records": ("EffectFailed", "MessageRefused"),
    "schemas": ("Envelope", "Event", "Message", "Record", "State"),
}
__all__ = (  # the same names again, spelt out for type checkers
    "Address",
    "App",
    "AskTimedOut",
    "Asks",
    "Behaviour",
    "Client",
    "Context",
    "Decision",
    "Effect",
    "EffectFailed",
    "Envelope",
    "Event",
    "HmsError",
    "LogUnreachable",
    "Message",
    "MessageRefused",
    "Record",
    "Recorded",
    "Refused",
    "Send",
    "State",
    "Timer",
    "accept",
    "cancel",
    "connect",
    "on",
    "participant",
    "refuse",
    "send",
    "timer",
)
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `hms --version` must not pay for a codec."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'hms' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted((*_MODULE_OF, "__version__"))
