"""What `hms sql` takes beside the query."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter
from cyclopts.validators import Number

from ..archive_options import ArchiveOption
from ..log_address import log_url
from ..options import LogOption

SqlForm: TypeAlias = Literal["text", "json", "jsonl", "csv", "parquet"]


@Parameter(name="*")
@dataclass(frozen=True)
class SqlOptions:
    """The options of every query."""

    log: LogOption = None
    form: Annotated[SqlForm, Parameter(name=("--output", "-o"), help="text for people; json, jsonl, csv, parquet")] = (
        "text"
    )
    archive: ArchiveOption = None
    memory_mb: Annotated[
        int | None,
        Parameter(
            name="--memory-mb", validator=Number(gte=64), help="What a query may use [default: half, 4096 at most]"
        ),
    ] = None
    timeout_ms: Annotated[
        int, Parameter(name="--timeout-ms", validator=Number(gte=100), help="How long a query may take")
    ] = 60_000

    @property
    def url(self) -> str:
        """The log's URL, with the default filled in."""
        return log_url(self.log)


DEFAULTS = SqlOptions()
