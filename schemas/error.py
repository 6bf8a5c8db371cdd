"""What goes wrong between supervisors, in the protocol's words (its section 5)."""

from typing import Final, Literal

from .record import Record

ErrorCode = Literal[
    "message_format_error",
    "destination_not_found",
    "message_timeout",
    "authorization_error",
    "validation_error",
    "internal_error",
]
"""Protocol section 5.2; the classes of `hms.core.errors` carry the same codes."""

RETRYABLE: Final = ("destination_not_found", "message_timeout", "internal_error")
"""The codes whose handling strategy is to try again."""


class ErrorResponse(Record):
    """Protocol section 5.1: an error as an answer; `error_details_json` is JSON text or empty."""

    error_code: str
    error_message: str
    error_details_json: str = ""
    source_message_id: str
