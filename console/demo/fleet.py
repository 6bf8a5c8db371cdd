"""The demo's fleet: a web service, a worker that needs it, a queue that leaks memory, a flapping cache."""

import json
import socket
import sys
from pathlib import Path
from typing import Any, NamedTuple

PARTS = Path(__file__).with_name("parts")
NAME = "demo"


class Ports(NamedTuple):
    """Where the parts listen."""

    web: int
    queue: int
    cache: int


def free_ports() -> Ports:
    """Return ports of this machine that nobody uses now."""
    sockets = [socket.socket() for _ in Ports._fields]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return Ports(*(each.getsockname()[1] for each in sockets))
    finally:
        for each in sockets:
            each.close()


def write_fleet(folder: Path, ports: Ports) -> Path:
    """Write the fleet file (JSON is YAML) and return its path."""
    path = folder / "fleet.yaml"
    path.write_text(json.dumps(_fleet(ports), indent=2), encoding="utf-8")
    return path


def part(name: str, *words: str) -> list[str]:
    """Return the command of one part: isolated, so that nothing of this machine's Python settings matters."""
    return [sys.executable, "-I", str(PARTS / f"{name}.py"), *words]


def shortly(text: str) -> str:
    """Leave out of a text where on this machine Python and the parts are."""
    return text.replace(sys.executable, "python3").replace(f"{PARTS}/", "")


def _fleet(ports: Ports) -> dict[str, Any]:
    return {
        "fleet": NAME,
        "groups": [
            {"id": "front", "strategy": "one_for_one", "max_restarts": 20, "max_seconds": 60},
            {"id": "caching", "strategy": "one_for_one", "max_restarts": 3, "max_seconds": 30},
        ],
        "components": [_web(ports.web), _worker(ports.web), _queue(ports.queue), _cache(ports.cache)],
    }


def _web(port: int) -> dict[str, Any]:
    page = {"http": f"http://127.0.0.1:{port}/", "period_ms": 200, "timeout_ms": 400}
    return {
        "id": "web",
        "group": "front",
        "command": part("web_service", str(port)),
        "probes": {
            "startup": {"tcp": f"127.0.0.1:{port}", "period_ms": 100, "failure_threshold": 12},
            "readiness": page,
            "liveness": {**page, "failure_threshold": 3},
        },
        "backoff": {"first_ms": 200, "max_ms": 1_000},
    }


def _worker(port: int) -> dict[str, Any]:
    return {
        "id": "worker",
        "group": "front",
        "command": part("worker", f"http://127.0.0.1:{port}/"),
        "depends_on": {"web": "ready"},
        "probes": {"liveness": {"process": True, "period_ms": 300, "failure_threshold": 3}},
        "backoff": {"first_ms": 200, "max_ms": 1_000},
        "stop": {"grace_ms": 1_000},
    }


def _queue(port: int) -> dict[str, Any]:
    return {
        "id": "queue",
        "command": part("leaking_queue", str(port)),
        "probes": {"readiness": {"tcp": f"127.0.0.1:{port}", "period_ms": 200}},
        "limits": {"rss_mb": 80},
        "backoff": {"first_ms": 200, "max_ms": 1_000},
    }


def _cache(port: int) -> dict[str, Any]:
    return {
        "id": "cache",
        "group": "caching",
        "command": part("flapping_cache", str(port), "cache.json"),
        "probes": {"readiness": {"tcp": f"127.0.0.1:{port}", "period_ms": 200}},
        "backoff": {"first_ms": 100, "max_ms": 400},
    }
