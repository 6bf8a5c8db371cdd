"""What every command takes: which log, and in which form to answer."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter
from cyclopts.validators import Number

from .log_address import log_url

Form: TypeAlias = Literal["text", "json", "jsonl"]
LogOption: TypeAlias = Annotated[
    str | None,
    Parameter(name="--log", env_var="HMS_LOG", help="The log's URL [default: sqlite:$XDG_STATE_HOME/hms/log.db]"),
]
FormOption: TypeAlias = Annotated[
    Form,
    Parameter(name=("--output", "-o"), help="text for people; json (lists are arrays) or jsonl (an item a line)"),
]

HeartbeatOption: TypeAlias = Annotated[
    int,
    Parameter(
        name="--heartbeat-ms",
        validator=Number(gte=100, lte=60_000),
        help="How often this host says what runs; after three it is silent, after six its leases are over",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """The options that all commands share."""

    log: LogOption = None
    form: FormOption = "text"

    @property
    def url(self) -> str:
        """The log's URL, with the default filled in."""
        return log_url(self.log)


DEFAULTS = Options()
