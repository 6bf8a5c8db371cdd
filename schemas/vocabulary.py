"""Everything that HMS itself says: its messages, answers, events, states, and what they are made of.

Their golden schemas are in `avsc/` (`tools/export_schemas.py` writes them, a test compares). A new module of records
goes into `MODULES`; a test finds the one that was forgotten.
"""

from collections.abc import Iterator
from types import ModuleType
from typing import Final

from . import (
    administrative,
    analysis,
    analysis_event,
    analysis_look,
    audit,
    component,
    component_events,
    component_reports,
    error,
    fleet,
    fleet_messages,
    group,
    group_events,
    host,
    member,
    recovery,
    recovery_event,
    registry_event,
    supervisor_timer,
    task,
    task_event,
    task_parameters,
    task_protocol,
    task_record,
    telemetry,
    topic,
)
from .record import Record

MODULES: Final = (
    administrative,
    analysis,
    analysis_event,
    analysis_look,
    audit,
    component,
    component_events,
    component_reports,
    error,
    fleet,
    fleet_messages,
    group,
    group_events,
    host,
    member,
    recovery,
    recovery_event,
    registry_event,
    supervisor_timer,
    task,
    task_event,
    task_parameters,
    task_protocol,
    task_record,
    telemetry,
    topic,
)


def records_in(module: ModuleType) -> Iterator[type[Record]]:
    """Give the records that a module defines, in its order; pydantic's `Message[Answer]` is not one of them."""
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Record) and _is_own(value, module):
            yield value


def _is_own(cls: type[Record], module: ModuleType) -> bool:
    return cls.__module__ == module.__name__ and "[" not in cls.__name__


VOCABULARY: Final[tuple[type[Record], ...]] = tuple(cls for module in MODULES for cls in records_in(module))
