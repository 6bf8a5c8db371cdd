"""The addresses that behaviours must know of each other without importing each other."""

from typing import Any, Final

from ..core.address import Address
from ..schemas.record import Message

META_SUPERVISOR: Final[Address[Message[Any]]] = Address("meta_supervisor/main")
RUNTIME_SUPERVISOR: Final[Address[Message[Any]]] = Address("runtime_supervisor/main")
ANALYSIS_SUPERVISOR: Final[Address[Message[Any]]] = Address("analysis_supervisor/main")
ANALYSIS_TOPIC: Final[Address[Message[Any]]] = Address("topic/analysis")


def task_record(task_id: str) -> Address[Message[Any]]:
    """Return the address of a task's own record."""
    return Address(f"task/{task_id}")


def component(component_id: str) -> Address[Message[Any]]:
    """Return the address of a component's actor."""
    return Address(f"component/{component_id}")


def group(group_id: str) -> Address[Message[Any]]:
    """Return the address of a group's actor."""
    return Address(f"group/{group_id}")
