"""Which compression this Python can read and write."""

from collections.abc import Callable, Mapping
from typing import Final

from aiokafka import codec

from ..check import Check

CODECS: Final[Mapping[str, Callable[[], bool]]] = {
    "lz4": codec.has_lz4,
    "zstd": codec.has_zstd,
    "snappy": codec.has_snappy,
}


def codec_check(codecs: Mapping[str, Callable[[], bool]] = CODECS) -> Check:
    """Fail without one of them: one record of a stranger's in that codec would stop its reader."""
    missing = [name for name, has in codecs.items() if not has()]
    if missing:
        seen = f"{', '.join(missing)} cannot be read or written: cramjam is not installed"
        return Check("compression", "fail", seen, "pip install 'aiokafka[lz4,zstd,snappy]'")
    return Check("compression", "ok", ", ".join(codecs))
