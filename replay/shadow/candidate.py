"""Where a candidate's code is: a folder, or a wheel, unpacked for the time that it is needed."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ...core.errors import ValidationFailed

UNPACKED_BYTES_MAX: Final = 1 << 30


@contextmanager
def code_of(folder: Path | None, wheel: Path | None) -> Iterator[list[str]]:
    """Give what Python is to import from, first. Raises `ValidationFailed` for what is no folder, or no wheel."""
    if folder is not None:
        if not folder.is_dir():
            raise ValidationFailed(f"--code {folder}: expected a folder that modules are imported from, found none")
        yield [str(folder.absolute())]
    elif wheel is not None:
        with TemporaryDirectory(prefix="hms-candidate-") as unpacked:
            _unpack(wheel, Path(unpacked))
            yield [unpacked]
    else:
        yield []


def _unpack(wheel: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            if sum(one.file_size for one in archive.infolist()) > UNPACKED_BYTES_MAX:
                raise ValidationFailed(
                    f"--wheel {wheel}: expected at most {UNPACKED_BYTES_MAX} bytes unpacked, got more"
                )
            archive.extractall(target)
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:  # the last: encrypted, or packed in an unknown way
        raise ValidationFailed(f"--wheel {wheel}: expected a wheel, got what cannot be unpacked: {error}") from error
