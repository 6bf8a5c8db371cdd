"""Ed25519 keys of those who sign: private ones in files for one user alone, public ones as a line of text (C2SP's vkey)."""

import base64
import os
import re
import stat
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from ...core.private_folder import make_private
from .errors import NotAProof

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ED25519: Final = b"\x01"
_RAW_BYTES: Final = 32
_NAME: Final = re.compile(r"[^\s+]{1,200}")


class PublicKey(NamedTuple):
    """Who signed: a name, and the key's 32 bytes."""

    name: str
    raw: bytes

    @property
    def id(self) -> bytes:
        """The four bytes by which signatures name it."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.raw).digest()[:4]

    def __str__(self) -> str:
        """Return it as the line that others put into their file of trusted keys."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(_ED25519 + self.raw).decode()}"

    @classmethod
    def parse(cls, text: str) -> "PublicKey":
        """Return the key of a line. Raises `NotAProof`."""
        name, _, rest = text.partition("+")
        id_, _, encoded = rest.partition("+")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except ValueError:
            raw = b""
        if _NAME.fullmatch(name) is None or raw[:1] != _ED25519 or len(raw) != _RAW_BYTES + 1:
            raise NotAProof(f"expected a key as NAME+ID+BASE64, got {text[:100]!r}; `hms audit key show` prints them")
        key = cls(name, raw[1:])
        if key.id.hex() != id_:
            raise NotAProof(f"the key {name} should have the id {key.id.hex()}, got {id_!r}: it was changed on its way")
        return key

    def fits(self, signature: bytes, text: bytes) -> bool:
        """Say whether the signature over a text is this key's."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - slow to import, and not for every command
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


class Signer(NamedTuple):
    """A private key, with what others know it by."""

    public: PublicKey
    private: "Ed25519PrivateKey"

    def sign(self, text: bytes) -> bytes:
        """Return the signature over a text."""
        return self.private.sign(text)


class KeyFolder:
    """The keys of this user on this machine, `key-NNNN.pem`, mode 0600; all of them sign until they are retired.

    So who trusts an older one comes to know the newer.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self._name = name

    def signers(self) -> list[Signer]:
        """Return those that sign, newest first; the first use makes one. Raises `OSError`, `NotAProof`."""
        if not self._files():
            self.rotate()
        return [self._load(file) for file in reversed(self._files())]

    def rotate(self) -> Signer:
        """Make a new key; the one before goes on signing beside it until `retire`."""
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

        make_private(self.folder)
        data = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        taken = [int(file.stem.removeprefix("key-").removesuffix(".retired")) for file in self._all()]
        path = self.folder / f"key-{max(taken, default=0) + 1:04}.pem"
        temporary = path.with_suffix(f".new-{os.getpid()}")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # never over a key that somebody else has made a moment ago
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
        return self._load(path)

    def retire(self) -> int:
        """Let only the newest key sign; the others stay in the folder, and prove what they signed. Return how many."""
        older = self._files()[:-1]
        for file in older:
            file.rename(file.with_name(f"{file.stem}.retired.pem"))
        return len(older)

    def _files(self) -> list[Path]:
        return [file for file in self._all() if ".retired" not in file.name]

    def _all(self) -> list[Path]:
        return sorted(self.folder.glob("key-*.pem"))

    def _load(self, file: Path) -> Signer:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            raise NotAProof(
                f"{file}: expected a key that its user alone may read (mode 0600), got mode {mode:04o}: chmod 600 it; and "
                "if somebody can have seen it, make another (hms audit key rotate, then retire), and revoke this one"
            )
        try:
            private = serialization.load_pem_private_key(file.read_bytes(), None)
        except (ValueError, TypeError) as error:
            raise NotAProof(
                f"{file}: expected an Ed25519 key as PEM: {error}; make another with `hms audit key rotate`"
            ) from error
        if not isinstance(private, Ed25519PrivateKey):
            raise NotAProof(f"{file}: expected an Ed25519 key, got another kind; make one with `hms audit key rotate`")
        raw = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return Signer(PublicKey(self._name, raw), private)
