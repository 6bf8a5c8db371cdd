"""A stranger that wants a port: tries until it has it, holds it for some seconds, and goes."""

import socket
import sys
import time


def main() -> None:
    """Take the port that is the first argument, for as many seconds as the second says."""
    thief = socket.socket()
    thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            thief.bind(("127.0.0.1", int(sys.argv[1])))
            thief.listen()
        except OSError:
            time.sleep(0.001)
        else:
            print("taken", flush=True)  # noqa: T201 - the demo waits for it
            time.sleep(float(sys.argv[2]))
            return


main()
