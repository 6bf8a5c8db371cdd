"""What the session and its child say to each other: lines of JSON; behind one with `bytes`, so many bytes of Arrow.

session -> child    {"op": "start" | "names" | "views" | "query", ...}
child -> session    {"ok": true, ...} | {"schema": true, "bytes": n} | {"rows": n, "bytes": n} | {"end": true}
                    | {"refused": "why"} | {"stopped": "why"}
"""

import json
from typing import Any, BinaryIO, Final

LINE_BYTES_MAX: Final = 256 << 20
"""A list of all files of an archive is one line."""


def line(**fields: Any) -> bytes:
    """Return one message."""
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def write(out: BinaryIO, payload: Any = b"", **fields: Any) -> None:
    """Write one message, and what belongs to it."""
    size = {"bytes": len(payload)} if payload else {}
    out.write(line(**fields, **size))
    out.write(payload)
    out.flush()
