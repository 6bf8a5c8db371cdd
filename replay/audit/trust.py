"""Whose signatures count: a file of public keys, one a line, kept where nobody who writes the log can change it.

# what follows a key says from when on it counts no longer: every shard's commit 1200 and later, or only shard 3's
node-a+1a2b3c4d+AbC...
node-b+5e6f7a8b+AdE... revoked-from=1200
node-c+9c0d1e2f+AfG... revoked-from=3:1200
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from .errors import NotAProof
from .keys import PublicKey
from .note import Note

_REVOKED: Final = re.compile(r"revoked-from=(?:(\d+):)?(\d+)")


class Revocation(NamedTuple):
    """A key does not count for checkpoints that hold commit `sequence` or later ones; of one shard, or of all."""

    key: PublicKey
    shard: int | None
    sequence: int


class Standing(StrEnum):
    """What is to be thought of a checkpoint's signatures."""

    GOOD = "good"
    FORGED = "the signature does not fit what is signed"
    REVOKED = "signed with a revoked key"
    UNKNOWN = "signed by nobody who is trusted"


class Trust(NamedTuple):
    """The keys that count, and from when on some do not."""

    keys: tuple[PublicKey, ...] = ()
    revocations: tuple[Revocation, ...] = ()

    def standing(self, note: Note, shard: int) -> Standing:
        """Judge a note's signatures: one good one of a key that counts is enough; a wrong one of such a key never is."""
        found = set()
        for key in self.keys:
            fits = note.signed_by(key)
            if fits is False:
                return Standing.FORGED
            if fits:
                found.add(Standing.REVOKED if self._is_revoked(key, shard, note.checkpoint.size) else Standing.GOOD)
        if Standing.GOOD in found:
            return Standing.GOOD
        return Standing.REVOKED if found else Standing.UNKNOWN

    def may_introduce(self, note: Note) -> bool:
        """Say whether a note comes to make other keys known: one that counts for good, and was never revoked, has signed it.

        Who stole a key could else sign something old with it and with a key of his own, which nobody has revoked.
        """
        revoked = {one.key for one in self.revocations}
        return any(key not in revoked and note.signed_by(key) for key in self.keys)

    def knowing(self, keys: Iterable[PublicKey]) -> "Trust":
        """Return this with more keys."""
        return self._replace(keys=tuple(dict.fromkeys([*self.keys, *keys])))

    def _is_revoked(self, key: PublicKey, shard: int, size: int) -> bool:
        return any(one.key == key and one.shard in {None, shard} and size > one.sequence for one in self.revocations)


def parse_trust(text: str) -> Trust:
    """Return what a file of trusted keys says. Raises `NotAProof`."""
    keys = []
    revocations = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        keys.append(PublicKey.parse(words[0]))
        for word in words[1:]:
            match = _REVOKED.fullmatch(word)
            if match is None:
                raise NotAProof(
                    f"expected revoked-from=SEQUENCE or revoked-from=SHARD:SEQUENCE after a key, got {word!r}"
                )
            revocations.append(Revocation(keys[-1], None if match[1] is None else int(match[1]), int(match[2])))
    return Trust(tuple(keys), tuple(revocations))
