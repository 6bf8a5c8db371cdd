"""A web service: answers every GET with its pid. Without its port it cannot work, says so and ends."""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


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


def main() -> None:
    """Serve on the port that is the first argument."""
    address = ("127.0.0.1", int(sys.argv[1]))
    try:
        server = ThreadingHTTPServer(address, Pages)
    except OSError as error:
        sys.exit(f"cannot listen on {address[0]}:{address[1]}: {error.strerror}")
    print(f"serving on {address[0]}:{address[1]}", flush=True)  # noqa: T201 - its output is supervised too
    server.serve_forever()


main()
