"""A cache that loads its snapshot when it starts, and cannot start with a broken one however often it tries."""

import json
import socketserver
import sys
from pathlib import Path


class Asking(socketserver.StreamRequestHandler):
    """One connection asks for the number of entries."""

    def handle(self) -> None:
        """Answer."""
        self.wfile.write(f"{len(entries)}\n".encode())


class Cache(socketserver.ThreadingTCPServer):
    """Listens where its predecessor did."""

    allow_reuse_address = True


def load(snapshot: Path) -> dict[str, str]:
    """Return what was saved, nothing the first time."""
    if not snapshot.exists():
        return {}
    try:
        loaded: dict[str, str] = json.loads(snapshot.read_text(encoding="utf-8"))
    except ValueError as error:
        sys.exit(f"{snapshot.name} is broken: {error}")
    return loaded


entries = load(Path(sys.argv[2]))
with Cache(("127.0.0.1", int(sys.argv[1])), Asking) as cache:
    print(f"{len(entries)} entries", flush=True)  # noqa: T201 - its output is supervised too
    cache.serve_forever()
