"""An application: a name and its behaviours; the name is the first half of its types' names."""

from collections.abc import Sequence
from typing import Any

from ..schemas import Contract, Message, Record
from .behaviour import Behaviour
from .errors import ValidationFailed


class App:
    """What a node runs. Several apps share a node and a log; behaviour names must differ among them.

    `outside` are the messages that its behaviours send to participants outside, which no behaviour receives.
    """

    def __init__(
        self, name: str, *behaviours: Behaviour[Any, Any, Any], outside: Sequence[type[Message[Any]]] = ()
    ) -> None:
        if not name.isidentifier():
            raise ValidationFailed(f"expected an app name that is an identifier, got {name!r}")
        if not behaviours:
            raise ValidationFailed(f"expected app {name!r} to have at least one behaviour")
        self.name = name
        self.outside = tuple(outside)
        self.behaviours = {behaviour.name: behaviour for behaviour in behaviours}
        if len(self.behaviours) != len(behaviours):
            raise ValidationFailed(f"expected every behaviour of app {name!r} to have a name of its own")
        for behaviour in behaviours:
            for cls in (*behaviour.messages, *behaviour.events):
                self._declare(cls)
            for message in behaviour.messages:
                answer = message.answer_type()
                if answer is not None:
                    self._declare(answer)
        for message in self.outside:
            self._declare(message)

    def register(self, contract: Contract) -> None:
        """Add this app's records to a contract."""
        for behaviour in self.behaviours.values():
            for message in behaviour.messages:
                self.register_type(contract, message)
                answer = message.answer_type()
                if answer is not None:
                    self.register_type(contract, answer)
            for event in behaviour.events:
                contract.register(event, self.type_name(event), upcasters=behaviour.upcasters)
        for message in self.outside:
            self.register_type(contract, message)

    def _declare(self, cls: type[Record]) -> None:
        """Write the app's type name on the class, so that a client needs no registry to send one."""
        name = self.type_name(cls)
        declared = cls.__dict__.get("declared_type")
        if declared not in (None, name):
            raise ValidationFailed(
                f"expected {cls.__name__} to belong to one app, got {declared!r} and {name!r}; set explicit_type on it"
            )
        cls.declared_type = name

    def register_type(self, contract: Contract, cls: type[Record]) -> None:
        """Add one record under this app's name."""
        contract.register(cls, self.type_name(cls))

    def type_name(self, cls: type[Record]) -> str:
        """Return the wire name of a class: its explicit one, or `<app>.<Class>`."""
        return cls.explicit_type or f"{self.name}.{cls.__name__}"
