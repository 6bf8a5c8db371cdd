"""A checkpoint as text: a signed note as transparency logs write them (C2SP: tlog-checkpoint, signed-note).

hms/LOG/shard-3
SIZE, in commits
ROOT, base64
head SHA-256 of the last commit record's value
at 2026-03-01T03:12:00.000000Z

— NAME SIGNATURE
"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from .errors import NotAProof
from .keys import PublicKey, Signer

_DASH: Final = "\N{EM DASH} "
_ID_BYTES: Final = 4


class Signature(NamedTuple):
    """Who says to have signed, and the signature."""

    name: str
    key_id: bytes
    data: bytes


class Checkpoint(NamedTuple):
    """What is signed: the first `size` commits of a shard have this root, and the last of them this hash."""

    origin: str
    size: int
    root: bytes
    head: bytes
    at: datetime

    @property
    def text(self) -> str:
        """The text that is signed."""
        at = self.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\nhead {self.head.hex()}\nat {at}\n"


class Note(NamedTuple):
    """A checkpoint, the very text that is signed, its signatures, and all of it as it came."""

    checkpoint: Checkpoint
    text: str
    signatures: tuple[Signature, ...]
    whole: str

    def signed_by(self, key: PublicKey) -> bool | None:
        """Say whether a key's signature is right; None where it has not signed."""
        mine = [one for one in self.signatures if one.key_id == key.id and one.name == key.name]
        return any(key.fits(one.data, self.text.encode()) for one in mine) if mine else None


def origin_of(log_id: str, shard: int) -> str:
    """Return what a shard of a log is called in its checkpoints."""
    return f"hms/{log_id}/shard-{shard}"


def signed(checkpoint: Checkpoint, signers: Sequence[Signer]) -> str:
    """Return the note that these have signed."""
    text = checkpoint.text
    lines = [
        f"{_DASH}{one.public.name} {base64.b64encode(one.public.id + one.sign(text.encode())).decode()}\n"
        for one in signers
    ]
    return f"{text}\n{''.join(lines)}"


def parse(note: str) -> Note:
    """Return what a note says; its signatures are not checked here. Raises `NotAProof`."""
    text, blank, rest = note.partition("\n\n")
    try:
        note.encode()
        origin, size, root, head, at = text.split("\n")
        moment = datetime.fromisoformat(at.removeprefix("at "))
        checkpoint = Checkpoint(
            origin, int(size), base64.b64decode(root, validate=True), bytes.fromhex(head[5:]), moment
        )
        signatures = tuple(_signature(line) for line in rest.splitlines() if line)
        if not (blank and signatures) or checkpoint.text != f"{text}\n":
            raise ValueError("it is not written as it should be")  # noqa: TRY301 - one place says what is wrong
    except (ValueError, OverflowError) as error:
        raise NotAProof(f"expected a signed checkpoint, got {note[:200]!r}: {error}") from None
    return Note(checkpoint, f"{text}\n", signatures, note)


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    data = base64.b64decode(encoded, validate=True)
    if not line.startswith(_DASH) or len(data) <= _ID_BYTES:
        raise ValueError("a line below the text is no signature")
    return Signature(name, data[:_ID_BYTES], data[_ID_BYTES:])
