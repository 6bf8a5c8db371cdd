"""A web service: answers every GET with its pid. It waits for its port for a while; without it, it says so and ends."""

import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE_S = 10.0


class Pages(BaseHTTPRequestHandler):
    """One page."""

    def do_GET(self) -> None:
        """Answer."""
        page = f"{os.getpid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Log nothing: probes come several times a second."""


def listening(port: int) -> ThreadingHTTPServer:
    """Return the server, once the port is free."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ThreadingHTTPServer(("127.0.0.1", port), Pages)
        except OSError as error:
            if time.monotonic() > deadline:
                sys.exit(f"cannot listen on port {port}: {error.strerror}")
            time.sleep(0.05)


def main() -> None:
    """Serve on the port that is the first argument."""
    server = listening(int(sys.argv[1]))
    print(f"serving on port {sys.argv[1]}", flush=True)  # noqa: T201 - its output is supervised too
    server.serve_forever()


main()
