"""A place outside that is told every checkpoint: a file that only grows, or a URL that takes a POST."""

import json
import os
from http.client import HTTPException
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from .errors import NotAProof
from .note import Note, parse

TIMEOUT_S: Final = 10


def push(witness: str, note: str) -> None:
    """Tell a witness; the note is durable when this returns. Raises `OSError`."""
    if witness.startswith(("http://", "https://")):
        _post(witness, note)
    else:
        _append(Path(witness.removeprefix("file:")), note)


def _post(url: str, note: str) -> None:
    headers = {"content-type": "text/plain; charset=utf-8"}
    try:
        request = Request(url, note.encode(), headers, method="POST")  # noqa: S310 - http and https only: see `push`
        _OPENER.open(request, timeout=TIMEOUT_S).close()
    except HTTPError as error:
        with error:
            raise OSError(f"{url}: expected an answer of 200, got {error.code} {error.reason}") from error
    except OSError as error:
        raise OSError(f"{url}: {getattr(error, 'reason', error)}") from error
    except (HTTPException, ValueError) as error:
        raise OSError(f"{url}: expected an answer as HTTP has them, got {type(error).__name__}: {error}") from error


class _Stay(HTTPRedirectHandler):
    """Goes nowhere else: the answer to a POST that was sent elsewhere as a GET would say that the witness was told."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER: Final = build_opener(_Stay)


def _append(path: Path, note: str) -> None:
    checkpoint = parse(note).checkpoint
    item = {"origin": checkpoint.origin, "size": checkpoint.size, "note": note}
    line = json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    with path.open("ab+") as file:
        if file.tell() and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
            line = b"\n" + line  # whoever wrote last was killed meanwhile
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def notes_in(text: str) -> list[Note]:
    """Return the checkpoints of a witness's file, or the one of a note by itself. Raises `NotAProof`."""
    if not text.lstrip().startswith("{"):
        return [parse(text)]
    return [_in_line(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _in_line(number: int, line: str) -> Note:
    try:
        return parse(str(json.loads(line)["note"]))
    except (ValueError, LookupError, TypeError, NotAProof) as error:
        raise NotAProof(
            f"line {number}: expected what a witness was told, got {line[:100]!r} ({error}); a line that was cut short by a "
            "crash can be taken out"
        ) from None
