"""Tombstones are signed by the keys with which a node signs its history (`hms.replay.audit`)."""

import base64
from collections.abc import Callable, Sequence
from typing import Final

from ..audit.errors import NotAProof
from ..audit.keys import PublicKey, Signer
from ..audit.trust import Trust
from .manifest import Signature, Tombstone

ALGORITHM: Final = "ed25519"


def sign_with(signers: Callable[[], Sequence[Signer]]) -> Callable[[bytes], Signature]:
    """Return what signs a tombstone with the newest key of somebody; `key_id` holds the whole public key."""

    def sign(text: bytes) -> Signature:
        signer = signers()[0]
        value = base64.b64encode(signer.sign(text)).decode()
        return Signature(key_id=str(signer.public), algorithm=ALGORITHM, value=value)

    return sign


def wrong_signature(stone: Tombstone, trust: Trust | None = None) -> str:
    """Return what is wrong with a tombstone's signature; nothing where it is the one of the key that it names.

    With `trust`, that key has to be one of those that count.
    """
    if stone.signature is None:
        return "expected a signature, got none"
    try:
        key = PublicKey.parse(stone.signature.key_id)
        value = base64.b64decode(stone.signature.value, validate=True)
    except (NotAProof, ValueError) as error:
        return f"expected a key and its signature, got {error}"
    if trust is not None and key not in trust.keys:
        return f"signed by nobody who is trusted, but by {key}"
    return "" if key.fits(value, stone.signed_part()) else f"it was changed, or not signed by {key.name}"
