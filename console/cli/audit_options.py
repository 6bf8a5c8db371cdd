"""The options of audits that other commands take, too."""

from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter

TrustOption: TypeAlias = Annotated[
    Path | None, Parameter(help="File of the public keys that count, one a line, as `hms audit key show` prints them")
]
WitnessOption: TypeAlias = Annotated[
    str | None,
    Parameter(env_var="HMS_WITNESS", help="A file or an http(s) URL outside, which is told every checkpoint"),
]
