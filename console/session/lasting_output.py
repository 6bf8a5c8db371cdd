"""Output that may go away (a pipe to `head`, a closed terminal) without taking along who supervises."""

import errno
import os
import sys
from typing import Any, Final, TextIO, cast

GONE: Final = (errno.EPIPE, errno.EIO)
"""What a pipe without a reader and a terminal without a window say."""


def outlive_output() -> None:
    """From now on let what stdout and stderr no longer take go nowhere, instead of raising."""
    sys.stdout = lasting(sys.stdout)
    sys.stderr = lasting(sys.stderr)


def lasting(stream: TextIO | None) -> TextIO:
    """Return the stream as one whose writing never raises `OSError`; None is one that was closed by who started us."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - it lasts as long as the process
    return stream if isinstance(stream, _Lasting) else cast("TextIO", _Lasting(stream))


class _Lasting:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._let_go(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._let_go(error)

    def _let_go(self, error: OSError) -> None:
        """Send all that follows nowhere if nobody can read it ever again; a full disk may have room later."""
        if error.errno not in GONE:
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
