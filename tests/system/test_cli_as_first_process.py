"""`hms` as a container's first process: the kernel spares that one every signal that it has no handler for."""

import signal
import subprocess
import sys

import pytest

BEFORE_ITS_COMMAND_HAS_A_HANDLER = """
import os, signal, sys
from hms.console import cli
os.getpid = lambda: int(sys.argv[1])
cli._run = lambda _: (print("begins", flush=True), signal.pause())
sys.exit(cli.main(["node"]))
"""


@pytest.mark.parametrize(("pid", "code"), [(1, 143), (4321, -signal.SIGTERM)])
def test_term_ends_the_first_process_of_a_container_from_the_start(pid: int, code: int) -> None:
    command = [sys.executable, "-c", BEFORE_ITS_COMMAND_HAS_A_HANDLER, str(pid)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        process.terminate()
        assert process.wait(60) == code
