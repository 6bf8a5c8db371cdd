"""How long a command takes to answer, from its process's start to its end."""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from figures import Figure, under
from session import Session, Unavailable

TITLE = "Command line"
COUNT, UP_S, COMPONENTS = 10, 30.0, 10
WHAT = f"""
The time from starting `hms` to its end, its output read: the median of {COUNT} calls a run. `hms component list` runs
beside `hms up` with a fleet of {COMPONENTS} components (`sleep`), all of them running, and reads the log itself.
"""
FLEET = "fleet: bench\ncomponents:\n" + "".join(
    f"  - {{id: c{n}, command: [sleep, '600']}}\n" for n in range(COMPONENTS)
)


def _hms() -> str:
    path = Path(sys.executable).with_name("hms")
    if not path.exists():
        raise Unavailable(f"there is no hms command beside {path.parent.name}/python")
    return str(path)


def _took_s(*command: str) -> float:
    started = time.perf_counter()
    done = subprocess.run([_hms(), *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"hms {' '.join(command[:2])} ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    return time.perf_counter() - started


def _medians(runs: int, *command: str) -> list[float]:
    return [median([_took_s(*command) for _ in range(COUNT)]) for _ in range(runs)]


def _wait_running(url: str, up: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + UP_S
    while time.monotonic() < deadline and up.poll() is None:
        listed = subprocess.run(
            [_hms(), "component", "list", "--log", url], capture_output=True, text=True, check=False
        )
        if listed.stdout.count("running") >= COMPONENTS:
            return
        time.sleep(0.2)
    raise Unavailable(f"hms up did not have its {COMPONENTS} components running within {UP_S:.0f} s")


def listing(session: Session, url: str) -> list[float]:
    """The seconds that `hms component list` takes, beside a fleet on a new log."""
    file = session.folder / "fleet.yaml"
    file.write_text(FLEET)
    up = subprocess.Popen(
        [_hms(), "up", "-f", str(file), "--log", url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_running(url, up)
        session.note_load()
        return _medians(session.runs, "component", "list", "--log", url)
    finally:
        up.terminate()
        try:
            up.wait(UP_S)
        except subprocess.TimeoutExpired:
            up.kill()


def run(session: Session) -> list[Figure]:
    version = Figure("`hms --version`", "s", _medians(session.runs, "--version"), under(0.2))
    return [
        version,
        Figure("`hms component list` on a running fleet", "s", listing(session, session.fresh("up.db")), under(0.7)),
    ]
