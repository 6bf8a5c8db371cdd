"""The incidents of a log, folded from what the runtime supervisor saw: illness, exits that a group met, recovery tasks.

An incident is a component's, from the first sign to the end: an illness that was seen (`IncidentOpened`), an exit that its
group answered by itself (`GroupRecoverySeen`), or a recovery that somebody asked for (`RecoveryTaskAccepted`). What a group
does about a component whose illness is known already belongs to that incident.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ...core.log.port import EVENTS, Stored
from ...schemas import Contract, Envelope, MalformedRecord, Unknown, partition_of
from ..history import History
from ..schemas import learn_schemas

RUNTIME_SUPERVISOR: Final = "runtime_supervisor/main"
ILLNESS, EXIT, TASK = "illness", "exit", "task"


@dataclass
class Incident:
    """`kind` is illness, exit or task; `closed_us` and `result` are None while it is open."""

    id: str
    kind: str
    component: str
    group: str
    incarnation: int
    symptom: str
    opened_us: int
    correlation: str
    closed_us: int | None = None
    result: str | None = None
    recoveries: int = 0

    @property
    def duration_ms(self) -> float | None:
        """From the first sign to the end; None while it is open."""
        return None if self.closed_us is None else (self.closed_us - self.opened_us) / 1_000


@dataclass(frozen=True)
class Told:
    """One event: whose, when, what."""

    stored: Stored
    envelope: Envelope
    data: Mapping[str, Any]

    @property
    def type(self) -> str:
        """The event's class."""
        return self.envelope.type.removeprefix("hms.")


class Book:
    """Collects incidents; feed it the runtime supervisor's events in order."""

    def __init__(self) -> None:
        self.incidents: dict[str, Incident] = {}
        self._open: dict[str, Incident] = {}
        """By component: the illness or exit that is not over."""

    def take(self, told: Told) -> None:
        """Take one event in; those that say nothing of an incident change nothing."""
        match told.type:
            case "IncidentOpened":
                self._opened(told, ILLNESS, told.data["incident_id"], f"{told.data['status']}: {told.data['message']}")
            case "IncidentClosed":
                self._closed(told, told.data["incident_id"], told.data["result"])
            case "GroupRecoverySeen":
                self._group(told)
            case "RecoveryInitiated":
                self._recovery(told)
            case "RecoveryTaskAccepted":
                self._opened(told, TASK, told.data["task_id"], told.data["failure_reason"])
            case "RecoveryTaskEnded":
                self._closed(told, told.data["task_id"], told.data["error_code"] or "completed")
            case "RecoveryTaskCancelled":
                self._closed(told, told.data["task_id"], "cancelled")
            case _:
                pass

    def _opened(self, told: Told, kind: str, id_: str, symptom: str) -> None:
        data, envelope = told.data, told.envelope
        if id_ in self.incidents:
            return
        component, group = data["component_id"], data.get("group_id", "")
        place = (component, group, data.get("incarnation", 0))
        opened = Incident(id_, kind, *place, symptom, envelope.at_us, envelope.correlation_id)
        self.incidents[id_] = opened
        if kind != TASK:
            self._open[component] = opened

    def _closed(self, told: Told, id_: str, result: str) -> None:
        incident = self.incidents.get(id_)
        if incident is None or incident.closed_us is not None:
            return
        incident.closed_us, incident.result = told.envelope.at_us, result
        if self._open.get(incident.component) is incident:
            del self._open[incident.component]

    def _group(self, told: Told) -> None:
        data = told.data
        known = self._open.get(data["component_id"])
        if data["stage"] == "completed":
            self._closed(told, data["recovery_id"], data["outcome"])
        elif known is None or known.kind == EXIT:
            self._opened(told, EXIT, data["recovery_id"], data["cause"])
            self.incidents[data["recovery_id"]].recoveries += 1
        else:
            known.recoveries += 1

    def _recovery(self, told: Told) -> None:
        incident = self.incidents.get(told.data["task_id"] or "") or self._open.get(told.data["component_id"])
        if incident is not None:
            incident.recoveries += 1
            incident.group = incident.group or told.data["group_id"]


async def incidents_of(history: History, *, until_us: int | None = None) -> list[Incident]:
    """Return every incident, oldest first."""
    book = Book()
    contract = Contract()
    await learn_schemas(history, contract)
    async for told in events_of(history, contract, RUNTIME_SUPERVISOR):
        if until_us is not None and told.envelope.at_us > until_us:
            break
        book.take(told)
    return sorted(book.incidents.values(), key=lambda one: (one.opened_us, one.id))


async def events_of(
    history: History, contract: Contract, actor: str, *, since_us: int | None = None
) -> AsyncIterator[Told]:
    """Yield an actor's events in order, from an append time on; one that cannot be read is passed over."""
    shard, key = partition_of(actor, history.partitions), actor.encode()
    start, end = await history.bounds(EVENTS, shard)
    if since_us is not None:
        start = (await history.as_of((EVENTS,), at_us=since_us)).positions[EVENTS, shard]
    async for records in history.records(EVENTS, shard, start, end):
        for stored in records:
            if stored.key == key and (told := told_by(contract, stored)) is not None:
                yield told


def told_by(contract: Contract, stored: Stored) -> Told | None:
    """Decode one event; None for what cannot be read."""
    try:
        envelope, record = contract.decode(stored.value or b"")
    except MalformedRecord:
        return None
    return Told(stored, envelope, record.data if isinstance(record, Unknown) else dict(record))
