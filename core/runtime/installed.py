"""The behaviours that a node runs, with what the runtime asks of them again and again looked up once."""

import hashlib
from collections.abc import Container, Iterator, Sequence
from typing import Any, get_args

from ...schemas import Contract, Record
from ..app import App
from ..behaviour import Behaviour, Reaction
from ..errors import ValidationFailed
from .records import RUNTIME_RECORDS

RESERVED = ("shard", "effect")


class Installed:
    """One behaviour in place: which messages it takes, which reactions follow which event."""

    __slots__ = ("app", "behaviour", "events", "messages", "reactions", "states")

    def __init__(self, app: App, behaviour: Behaviour[Any, Any, Any]) -> None:
        self.app = app
        self.behaviour = behaviour
        self.messages = frozenset(behaviour.messages)
        self.events = frozenset(behaviour.events)
        self.states = frozenset(state_types(behaviour))
        self.reactions: dict[type[Record], dict[str, Reaction]] = {}
        """Event -> handler's name -> reaction; the name is what the log remembers of it, so its place may change."""
        for reaction in behaviour.effects:
            handlers = self.reactions.setdefault(reaction.event, {})
            handlers[_handler_name(reaction, handlers)] = reaction

    def reaction(self, event: type[Any], handler: str) -> Reaction | None:
        """Return the reaction that the log knows by this name, or None if the code no longer has it."""
        return self.reactions.get(event, {}).get(handler)


def _handler_name(reaction: Reaction, taken: Container[str]) -> str:
    name = getattr(reaction.run, "__qualname__", type(reaction.run).__qualname__)
    return next(one for one in (name, *(f"{name}#{n}" for n in range(2, 1_000))) if one not in taken)


class Behaviours:
    """All behaviours of a node by name, and the contract that their records make together."""

    def __init__(self, apps: Sequence[App]) -> None:
        self.apps = tuple(apps)
        self.contract = Contract()
        self._by_name: dict[str, Installed] = {}
        for record in RUNTIME_RECORDS:
            self.contract.register(record, str(record.explicit_type))
        for app in apps:
            self._install(app)

    def _install(self, app: App) -> None:
        app.register(self.contract)
        for behaviour in app.behaviours.values():
            if behaviour.name in self._by_name or behaviour.name in RESERVED:
                raise ValidationFailed(
                    f"expected behaviour names to be unique among the apps of a node, and none of {RESERVED}; "
                    f"got {behaviour.name!r} in app {app.name!r}"
                )
            for state in state_types(behaviour):
                app.register_type(self.contract, state)
            self._by_name[behaviour.name] = Installed(app, behaviour)

    def of(self, address: str) -> Installed | None:
        """Return the behaviour of an actor's address, or None if this node has none of that name."""
        return self._by_name.get(address.partition("/")[0])

    def __iter__(self) -> Iterator[Installed]:
        return iter(self._by_name.values())


def state_types(behaviour: Behaviour[Any, Any, Any]) -> tuple[type[Record], ...]:
    """Return the state's class, or its phases."""
    return get_args(behaviour.state) or (behaviour.state,)


def code_version_of(behaviours: Behaviours) -> str:
    """Name the code that decides: each behaviour's version and fingerprint."""
    parts = sorted(f"{one.behaviour.name}:{one.behaviour.version}:{one.behaviour.fingerprint}" for one in behaviours)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
