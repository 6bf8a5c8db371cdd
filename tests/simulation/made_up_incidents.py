"""Incidents whose root is known: services that call each other, a fault in one of them, and what it does to the others."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hms.actors.analysis.causes import CallGraph, Metrics

Floats = npt.NDArray[np.float64]
Random = np.random.Generator

FAULTS = ("cpu", "memory", "disk", "delay", "loss")
SLOWER = {"cpu": 2.0, "memory": 0.5, "disk": 1.5, "delay": 8.0, "loss": 4.0}
"""How much longer a faulty service takes, in times."""
STEP_S = 10
QUIET_S = 1_800
AFTER_S = 420
UNKNOWN_CALLS = 0.1
SILENT = 0.1


@dataclass
class Incident:
    metrics: Metrics
    graph: CallGraph
    seen_us: int
    root: str


def walk(random: Random, steps: int, memory: float) -> Floats:
    """Noise of spread 1 that remembers itself."""
    noise, values = random.normal(0, 1, steps), np.zeros(steps)
    for step in range(1, steps):
        values[step] = memory * values[step - 1] + noise[step] * (1 - memory**2) ** 0.5
    return values


def incident(seed: int) -> Incident:
    random = np.random.default_rng(seed)
    count = int(random.integers(10, 31))
    calls = [(int(random.integers(max(0, callee // 4 - 1), callee)), callee) for callee in range(1, count)]
    calls += [(caller, caller + 3) for caller in range(0, count - 3, 5)]
    fault, root = FAULTS[seed % len(FAULTS)], int(random.integers(1, count))
    times = np.arange(0, QUIET_S + AFTER_S, STEP_S)
    hurt = np.clip((times - QUIET_S) / 60, 0, 1) * random.uniform(0.5, 1.5)
    late = _latencies(random, count, calls, {root: 1 + SLOWER[fault] * hurt}, len(times))
    at_us = times.astype(np.int64) * 1_000_000
    metrics: dict[tuple[str, str], Any] = {}
    for service in range(count):
        if service != root and random.random() < SILENT:
            continue
        named = _metrics(random, late[service], hurt if service == root else 0 * hurt, fault)
        metrics |= {(f"service-{service}", name): (at_us, values) for name, values in named.items()}
    known = [(f"service-{a}", f"service-{b}") for a, b in calls if random.random() > UNKNOWN_CALLS]
    return Incident(metrics, CallGraph(known), (QUIET_S + 60) * 1_000_000, f"service-{root}")


def _latencies(
    random: Random, count: int, calls: list[tuple[int, int]], slower: dict[int, Floats], steps: int
) -> list[Floats]:
    """A service answers after its own work and a share of what it calls: a symptom can be stronger than its cause."""
    late = [np.zeros(steps)] * count
    for service in reversed(range(count)):
        own = random.lognormal(1, 1) * np.exp(0.2 * walk(random, steps, 0.5)) * slower.get(service, 1.0)
        below = [late[callee] * random.uniform(0.3, 1.3) for caller, callee in calls if caller == service]
        late[service] = own + sum(below)
    return late


def _metrics(random: Random, late: Floats, hurt: Floats, fault: str) -> dict[str, Floats]:
    steps = len(late)
    work = random.uniform(10, 200) * np.exp(0.1 * walk(random, steps, 0.9)) / (1 + 0.02 * late / late[:10].mean())
    memory = random.uniform(50, 5_000) * (
        1 + 0.02 * walk(random, steps, 0.99) + random.uniform(0, 0.1) * np.arange(steps) / steps
    )
    disk = np.abs(walk(random, steps, 0.2)) * np.where(random.random(steps) < 0.02, 20, 1)
    errors = np.round(work * (0.2 * hurt * (fault == "loss") + 0.02 * (random.random(steps) < 0.03)))
    if random.random() < 0.15:  # a step that has nothing to do with it
        memory[random.integers(steps) :] *= random.uniform(0.9, 1.15)
    return {
        "cpu": 0.01 * work * np.exp(0.2 * walk(random, steps, 0.5)) * (1 + 8 * hurt * (fault == "cpu")),
        "memory": memory * (1 + hurt * (fault == "memory")),
        "diskio": disk + 10 * hurt * (fault == "disk"),
        "latency-50": late * np.exp(random.normal(0, 0.1, steps)),
        "latency-90": 2 * late * np.exp(random.normal(0, 0.3, steps)),
        "error": errors,
        "workload": np.where(random.random(steps) < 0.01, np.nan, work),
        "constant": np.ones(steps),
    }
