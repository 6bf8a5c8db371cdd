"""Kafka's jars from Maven Central, in a cache outside the repository; `python tests/kafka/jars.py` fetches them."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSION = "4.3.1"
POM = Path(__file__).with_name("pom.xml")
JAVA_MIN = 17


class Unavailable(Exception):
    """This machine cannot run what was asked for; the message says what is missing."""


def java() -> str:
    """Return the `java` to run."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if found is None:
        raise Unavailable(f"no Java {JAVA_MIN}")
    said = subprocess.run([found, "-version"], capture_output=True, text=True, check=False, timeout=30).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < JAVA_MIN:
        raise Unavailable(f"no Java {JAVA_MIN} ({found} is {version[1] if version else 'of an unknown version'})")
    return found


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hms-test-kafka" / VERSION


def jars() -> Path:
    """Return the folder of the broker's jars."""
    return jars_of(POM, cache())


def jars_of(pom: Path, folder: Path) -> Path:
    """Return the folder of a pom's jars, inside the given one; they are resolved once, and again when the pom changes."""
    libs, resolved = folder / "libs", folder / "pom.xml"
    if not (libs.is_dir() and resolved.exists() and resolved.read_bytes() == pom.read_bytes()):
        _resolve(pom, libs)
        shutil.copyfile(pom, resolved)
    return libs


def _resolve(pom: Path, libs: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable(f"no Maven to fetch Kafka {VERSION} with, and no jars of it in {libs.parent}")
    libs.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="libs.", dir=libs.parent))  # whole or not at all, whoever else does the same
    command = [maven, "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={fresh}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    if done.returncode:
        shutil.rmtree(fresh)
        raise Unavailable(f"Maven could not fetch Kafka {VERSION}: {_first_error(done.stdout)}")
    shutil.rmtree(libs, ignore_errors=True)
    fresh.rename(libs)


def _first_error(output: str) -> str:
    lines = [line.removeprefix("[ERROR]").strip() for line in output.splitlines() if "[ERROR]" in line]
    return lines[0] if lines else "it said nothing"


if __name__ == "__main__":
    try:
        print(f"Kafka {VERSION} in {jars()}, {java()}")
    except Unavailable as missing:
        sys.exit(f"the tests on a real Kafka cannot run here: {missing}")
