"""A place outside that is told every checkpoint: a file that only grows, or a URL that takes a POST."""

import json
import os
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

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
    request = Request(url, note.encode(), headers, method="POST")  # noqa: S310 - http and https only: see `push`
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            answer.read()
    except HTTPError as error:
        raise OSError(f"{url}: expected an answer of 200, got {error.code} {error.reason}") from error


def _append(path: Path, note: str) -> None:
    checkpoint = parse(note).checkpoint
    item = {"origin": checkpoint.origin, "size": checkpoint.size, "note": note}
    line = json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def notes_in(text: str) -> list[Note]:
    """Return the checkpoints of a witness's file, or the one of a note by itself. Raises `NotAProof`."""
    if not text.lstrip().startswith("{"):
        return [parse(text)]
    return [parse(json.loads(line)["note"]) for line in text.splitlines() if line.strip()]
