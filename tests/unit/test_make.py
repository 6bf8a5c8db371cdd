"""What `make` says on a machine that lacks something, before anything is installed."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def make_venv(tmp_path: Path, python: str, stubs: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run tools/make-venv.sh with a Python in which these modules are replaced."""
    for name, text in stubs.items():
        (tmp_path / f"{name}.py").write_text(text)
    return subprocess.run(
        [ROOT / "tools/make-venv.sh", python, tmp_path / "venv"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_missing_venv_module_is_named_with_the_line_that_installs_it(tmp_path: Path) -> None:
    done = make_venv(tmp_path, sys.executable, {"ensurepip": "raise ImportError('no')"})
    assert done.returncode == 1
    assert "its venv or ensurepip module is missing" in done.stderr
    assert re.search(r"(apt-get install python3[\d.]*-venv|dnf install python3-libs)", done.stderr), done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_python_before_3_11_is_named_with_the_line_that_installs_a_newer_one(tmp_path: Path) -> None:
    done = make_venv(tmp_path, sys.executable, {"sitecustomize": "import sys; sys.version_info = (3, 9, 2)"})
    assert done.returncode == 1
    assert "HMS needs Python 3.11 or newer" in done.stderr
    assert "is 3.9" in done.stderr
    assert re.search(r"(apt-get|dnf) install python3\.11", done.stderr), done.stderr


def test_a_missing_python_is_named_with_the_line_that_installs_it(tmp_path: Path) -> None:
    done = make_venv(tmp_path, "python-that-is-not-there", {})
    assert done.returncode == 1
    assert "python-that-is-not-there was not found" in done.stderr
    assert re.search(r"(apt-get|dnf) install python3", done.stderr), done.stderr


def test_make_alone_lists_what_it_does() -> None:
    done = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True)
    for target in ("demo", "test", "check", "bench", "develop", "clean"):
        assert re.search(rf"^make {target} +\w", done.stdout, re.MULTILINE), done.stdout
