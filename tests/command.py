"""How the tests run `hms`: the installed package's own `main`, in a process of its own; and what came of it."""

import json
import sys
from typing import Any, NamedTuple

HMS = (sys.executable, "-c", "from hms.console.cli import main; raise SystemExit(main())")


class Ran(NamedTuple):
    """A command that ended: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)
