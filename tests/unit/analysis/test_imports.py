"""A node, and commands that do not analyse, pay nothing for analysis."""

import subprocess
import sys

import pytest

HEAVY = ("duckdb", "numpy", "pyarrow")


@pytest.mark.parametrize("module", ["hms.actors.app", "hms.console.cli.analysis", "hms.console.cli.analysis_alerts"])
def test_what_decides_imports_none_of_what_looks(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
