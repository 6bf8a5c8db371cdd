"""A queue that leaks: it keeps what it is given until somebody acknowledges it, and nobody ever does."""

import socketserver
import sys

kept: list[bytes] = []


class Giving(socketserver.StreamRequestHandler):
    """One connection gives one message."""

    def handle(self) -> None:
        """Keep the message, say how many there are."""
        message = self.rfile.read()
        if message:
            kept.append(message)
        self.wfile.write(f"{len(kept)}\n".encode())


class Queue(socketserver.ThreadingTCPServer):
    """Listens where its predecessor did."""

    allow_reuse_address = True


def main() -> None:
    """Serve on the port that is the first argument."""
    with Queue(("127.0.0.1", int(sys.argv[1])), Giving) as queue:
        print("waiting for messages", flush=True)  # noqa: T201 - its output is supervised too
        queue.serve_forever()


main()
