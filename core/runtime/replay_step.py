"""One input of a replay and what it led to, beside what was recorded of it."""

from typing import Any, NamedTuple

from ...schemas import derived_id
from ..log.port import Draft, Stored
from .cause import cause_of
from .commits import Transaction
from .inbound import Inbound
from .installed import Behaviours


class Step(NamedTuple):
    """One input and what it led to: the `Input`, the events, the effects begun."""

    given: dict[str, Any]
    inbound: Inbound | None
    actor: str
    input: bytes | None
    drafts: list[Draft]
    begun: list[dict[str, str]]


class Recorded:
    """A commit's events, to be found by what they derive from."""

    def __init__(self, transaction: Transaction, behaviours: Behaviours) -> None:
        self._events = {behaviours.contract.envelope_of(one.value or b"").id: one for one in transaction.events}
        self.begun: dict[str, list[str]] = {}
        for effect in transaction.fields["begun"]:
            self.begun.setdefault(effect["event"], []).append(effect["handler"])

    def of(self, step: Step) -> list[Stored]:
        """Return the events of one input, in order."""
        if step.inbound is None:
            key = derived_id(step.actor, step.given["timer"], "timer", str(step.given["offset"]))
        elif step.inbound.envelope is None:
            return []
        else:
            key = cause_of(step.inbound.envelope, step.actor).key
        found: list[Stored] = []
        while (event := self._events.pop(derived_id(step.actor, key, "event", str(len(found))), None)) is not None:
            found.append(event)
        return found

    def left(self) -> list[Stored]:
        """Return what nobody asked for."""
        return list(self._events.values())
