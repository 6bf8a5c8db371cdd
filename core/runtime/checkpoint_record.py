"""Checkpoints of actors as bytes, and back; plain dicts, as commit records are: a restore reads a hundred thousand of them.

The state is the last field, so what a restore asks of every checkpoint (whose code made it, what is pending) is read
without it.
"""

from io import BytesIO
from typing import Any, Final, cast

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from ...schemas import FRAME_BYTES, Contract, avro_schema
from .cell import Cell
from .commit_record import without_last_field
from .installed import Installed
from .records import Checkpoint, PendingEffect, PendingTimer
from .wire import framed

_SCHEMA: Final = avro_schema(Checkpoint, str(Checkpoint.explicit_type))
_BODY: Final[Any] = parse_schema(_SCHEMA)
_SUMMARY: Final[Any] = parse_schema(without_last_field(_SCHEMA))


def encode_checkpoint(cell: Cell, contract: Contract, sequence: int) -> bytes:
    """Return the body of an actor's checkpoint at the end of commit `sequence`."""
    behaviour = cell.installed.behaviour
    fields = {
        "behaviour": behaviour.name,
        "version": behaviour.version,
        "fingerprint": behaviour.fingerprint,
        "sequence": sequence,
        "count": cell.count,
        "generation": cell.generation,
        "timers": [timer.__dict__ for timer in cell.timers.values()],
        "effects": [effect.__dict__ for effect in cell.effects.values()],
        "quarantine": cell.quarantine,
        "state": framed(contract, cell.state),
    }
    body = BytesIO()
    schemaless_writer(body, _BODY, fields)
    return body.getvalue()


def checkpoint_body(contract: Contract, value: bytes) -> bytes:
    """Return the body of a checkpoint's wire value, also of one that another version wrote. Raises `MalformedRecord`."""
    record_type = contract.of(Checkpoint)
    if value[:FRAME_BYTES] == record_type.frame:
        return value[FRAME_BYTES:]
    return record_type.encode_body(cast("Checkpoint", contract.decode_body(value)))


def summary_of(body: bytes) -> dict[str, Any]:
    """Return all fields but the state."""
    return cast("dict[str, Any]", schemaless_reader(BytesIO(body), _SUMMARY, None))


def fits(summary: dict[str, Any], installed: Installed) -> bool:
    """Tell whether a stored state was made by the code that runs now; otherwise it is folded again."""
    behaviour = installed.behaviour
    return bool(summary["version"] == behaviour.version and summary["fingerprint"] == behaviour.fingerprint)


def pending_effects(summary: dict[str, Any]) -> dict[str, PendingEffect]:
    """Return the effects of a checkpoint by id."""
    return {effect["id"]: PendingEffect(**effect) for effect in summary["effects"]}


def cell_of(address: str, installed: Installed, body: bytes, contract: Contract) -> Cell:
    """Return the live form of a checkpoint that `fits`."""
    fields = cast("dict[str, Any]", schemaless_reader(BytesIO(body), _BODY, None))
    cell = Cell(address, installed)
    cell.state = cast("Any", contract.decode_body(fields["state"]))
    cell.count = fields["count"]
    cell.sequence = fields["sequence"]
    cell.generation = fields["generation"]
    cell.timers = {timer["name"]: PendingTimer(**timer) for timer in fields["timers"]}
    cell.effects = pending_effects(fields)
    cell.quarantine = fields["quarantine"]
    return cell
