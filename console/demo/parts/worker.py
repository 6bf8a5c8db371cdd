"""A worker: does a small job again and again, with the help of a web service that may be away for a while."""

import contextlib
import sys
import time
import urllib.request


def main() -> None:
    """Work for ever; the first argument is the web service's URL."""
    done = 0
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(sys.argv[1], timeout=1) as page:  # noqa: S310 - http
            page.read()
            done += 1
        if done % 50 == 1:
            print(f"{done} jobs done", flush=True)  # noqa: T201 - its output is supervised too
        time.sleep(0.1)


main()
