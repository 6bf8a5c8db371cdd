"""Every error that HMS raises on purpose, cut by who must act.

HmsError
├── CallerError            the caller: what was asked cannot be done as asked
│   ├── ValidationFailed       validation_error, message_format_error
│   │   └── RecordTooLarge
│   ├── DestinationNotFound    destination_not_found
│   └── NotAuthorised          authorization_error
├── OutsideError           the world outside: try again (retryable)
│   ├── LogUnreachable         nothing was written
│   │   └── PositionTrimmed    (not retryable: what is asked for is gone)
│   ├── CommitUnknown          written or not
│   ├── AppendUnknown          written or not; retry with the same ids
│   ├── WriterFenced           another owner has the shard
│   ├── NodeUnfit              this process must own no shard; others may
│   │   ├── ClockOff               its clock is wrong
│   │   └── NodeOutdated           (not retryable: it lacks code that the log needs)
│   └── AskTimedOut            message_timeout: outcome unknown; retry with the same id
├── Refused                the domain: a behaviour said no, with a code and a reason
├── HistoryBroken          the operator: the log is not what was written (a restore from a bad copy, tampering)
│   └── PositionBeyond         it ends before a position that was read
└── ImpossibleEvent        a bug: an event that the state cannot have had (internal_error)

Whether trying again can help is a property of the class. A message says what was expected, what came, and what to do.
"""

from typing import ClassVar


class HmsError(Exception):
    """The root of the tree."""

    retryable: ClassVar[bool] = False
    code: ClassVar[str] = "internal_error"
    """The communication protocol's error code (its section 5.2)."""


class CallerError(HmsError):
    """The caller must change what it asks for."""

    code = "validation_error"


class ValidationFailed(CallerError):
    """A value does not fit its contract."""


class RecordTooLarge(ValidationFailed):
    """A record is larger than the log takes."""


class DestinationNotFound(CallerError):
    """No behaviour of that name is registered, or no actor of that address exists."""

    code = "destination_not_found"


class NotAuthorised(CallerError):
    """The sender may not do that."""

    code = "authorization_error"


class OutsideError(HmsError):
    """Something outside this process failed; the same call may work later."""

    retryable = True


class LogUnreachable(OutsideError):
    """The log did not answer in time, or cannot write; nothing was written."""


class PositionTrimmed(LogUnreachable):
    """The records asked for have been deleted; `start` is the first one kept."""

    retryable = False

    def __init__(self, topic: str, partition: int, position: int, start: int) -> None:
        super().__init__(
            f"{topic}/{partition}: position {position} was asked for, the first record kept is {start}; "
            "read the archive for what is older"
        )
        self.start = start
        self.goes_on_at = start
        """Where somebody goes on who can do without what is gone."""


class CommitUnknown(OutsideError):
    """The answer to a commit was lost: it is written, or not. Re-open the writer, restore, and look."""


class AppendUnknown(OutsideError):
    """The answer to an append was lost: retry with the same ids, so that it counts once."""


class WriterFenced(OutsideError):
    """Another owner has opened the shard; nothing of this commit is visible."""


class NodeUnfit(OutsideError):
    """A process that must own no shard as it is; others, whose code and clock are right, may."""


class ClockOff(NodeUnfit):
    """The wall clock of this node's machine and the log's own are too far apart."""


class NodeOutdated(NodeUnfit):
    """The log holds apps, or events, that this node's code lacks: it would lose them. Start it with the newest code."""

    retryable = False


class AskTimedOut(OutsideError):
    """No answer in time; the outcome is unknown. Ask again with the same id: it will not happen twice."""

    code = "message_timeout"


class Refused(HmsError):
    """A behaviour refused the message: a value of the domain, raised at the one who asked."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.refusal_code = code
        self.reason = reason


class HistoryBroken(HmsError):
    """The chain of commit records does not hold: records are missing, reordered or changed. Nothing goes on by itself."""


class PositionBeyond(HistoryBroken):
    """No reader of this log can have come to the position asked for: it was made again, or has lost its end."""

    def __init__(self, topic: str, partition: int, position: int, end: int) -> None:
        super().__init__(
            f"{topic}/{partition}: position {position} was asked for, but the log ends at {end}: its records are not those that "
            "the position came from (made again, restored from a copy, or acknowledged records lost); compare it with its "
            "archive or backup before anything goes on"
        )
        self.goes_on_at = end
        """Where somebody goes on who waits for what is new only."""


class ImpossibleEvent(HmsError):
    """An `evolve` met an event that its state cannot have had: the history or the code is wrong."""
