"""The peers on this machine: a virtual environment, a compiled class, the commands that start them, and their backlog.

They are made at the first run, beside the jars of the tests' broker in the user's cache, and again when what they are made
of changes.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
import venv
from pathlib import Path

from confluent_kafka import Producer
from session import Measured, Unavailable

from on_kafka.peers import work
from tests.kafka import jars

HERE = Path(__file__).parent / "peers"
REQUIREMENTS, POM, JAVA_SOURCE = HERE / "requirements.txt", HERE / "pom.xml", HERE / "Streams.java"
PARTITIONS = 4
TOPICS = ("commands", "events", "replies")


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hms-bench"


def python() -> str:
    """The Python of the peers' virtual environment."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache() / f"peers-{digest}"
    found = folder / "bin" / "python"
    if not (folder / "whole").exists():
        print(f"the peers' virtual environment is made in {cache().name}: a minute", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        command = [str(found), "-m", "pip", "--disable-pip-version-check", "install", "-q", "-r", str(REQUIREMENTS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"pip could not install the peers: {done.stderr.strip()[-300:]}")
        (folder / "whole").touch()
    return str(found)


def classpath() -> str:
    """The compiled class of the Java peer, and its jars."""
    try:
        libs = jars.jars_of(POM, cache() / "streams")
        java = Path(jars.java())
    except jars.Unavailable as why:
        raise Unavailable(str(why)) from why
    compiler = shutil.which("javac", path=str(java.parent)) or shutil.which("javac")
    if compiler is None:
        raise Unavailable("no javac to compile the peer in Java with")
    classes = cache() / f"classes-{hashlib.sha256(JAVA_SOURCE.read_bytes()).hexdigest()[:12]}"
    if not (classes / "Streams.class").exists():
        command = [compiler, "-cp", f"{libs}/*", "-d", str(classes), str(JAVA_SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"javac: {done.stderr.strip()[-300:]}")
    return f"{classes}:{libs}/*"


def python_peer(script: str, interpreter: str, task: work.Task) -> list[str]:
    return [interpreter, str(HERE / script), json.dumps(task._asdict())]


def java_peer(classes: str, task: work.Task) -> list[str]:
    schemas = [json.dumps(schema) for schema in (work.COMMAND, work.EVENT, work.REPLY)]
    return [jars.java(), "-Xmx1g", "-cp", classes, "Streams", task.bootstrap, task.prefix, task.folder, *schemas]


def backlog(bootstrap: str, prefix: str, commands: int, actors: int) -> Measured:
    """Write so many commands, to each of the actors in turn, partitioned as Java does."""
    options = {"partitioner": "murmur2_random", "compression.type": "lz4", "linger.ms": 50}
    producer = Producer({"bootstrap.servers": bootstrap, "queue.buffering.max.messages": commands + 1, **options})
    for number in range(commands):
        actor = f"counter/{number % actors}"
        value = work.command(actor, str(uuid.uuid4()), time.time_ns() // 1_000)
        producer.produce(f"{prefix}.commands", key=actor, value=value)
    assert producer.flush(120) == 0, "the backlog was not written"
    return {"commands": commands}
