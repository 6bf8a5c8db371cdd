"""The shop's log, made once for all tests that only look at it."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hms.console.cli import main

from . import shop as shops

Hms = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def shop_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = shops.write_module(tmp_path_factory.mktemp("shop"))
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture(scope="session")
def shop_log(shop_folder: Path) -> str:
    return shops.make_log(shop_folder / "shop.db")


@pytest.fixture
def hms(capsys: pytest.CaptureFixture[str]) -> Hms:
    """Return what runs a command line in this process: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run
