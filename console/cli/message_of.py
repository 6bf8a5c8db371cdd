"""Messages made of what a person has typed: what does not fit is the person's to mend."""

from typing import Any, TypeVar

from pydantic import ValidationError

from ...schemas.record import Record
from .exit_codes import Exit, Stop

R = TypeVar("R", bound=Record)


def message_of(kind: type[R], **fields: Any) -> R:
    """Return a message with these fields; raises `Stop` (usage) that names each one that is out of bounds."""
    try:
        return kind(**fields)
    except ValidationError as error:
        mistakes = (
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}, got {one['input']!r:.60}" for one in error.errors()
        )
        raise Stop(Exit.USAGE, "; ".join(mistakes)) from None
