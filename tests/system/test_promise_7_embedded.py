"""Promise 7 on the embedded log, with real processes: kills of components and of `hms up` itself, in a seeded order."""

import json
import os
import random
import signal
from typing import Any

QUICK = {"backoff": {"first_ms": 50, "max_ms": 200, "jitter": 0}}
NAMES = ("a", "b", "c")
SEED = 20_261_121
KILLS = 5


def all_events(shop: Any, kind: str) -> list[dict[str, Any]]:
    """Return the events of a type from the log itself."""
    answer = shop.hms("event", "list", "--type", f"hms.{kind}", "-n", "10000", "-o", "jsonl")
    assert answer.returncode == 0, answer.stderr
    return [json.loads(line) for line in answer.stdout.splitlines()]


def running(shop: Any) -> dict[str, int]:
    """Return the pids of the components that the log holds for running."""
    answer = shop.hms("component", "list", "-o", "json")
    items = json.loads(answer.stdout) if answer.returncode == 0 else []
    return {item["id"]: item["pid"] for item in items if item["phase"] == "running" and item["pid"]}


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_promise_7_what_dies_is_restarted_within_its_policy_or_given_up_loudly_never_twice(shop: Any) -> None:
    chance = random.Random(SEED)  # noqa: S311 - a seed makes the history repeatable
    groups = [
        {"id": "loose", "strategy": "one_for_one", "max_restarts": 100, "max_seconds": 60},
        {"id": "bad", "strategy": "one_for_one", "max_restarts": 2, "max_seconds": 60},
    ]
    members = {name: {"group": "loose", **QUICK} for name in NAMES}
    shop.write({**members, "loop": {"group": "bad", "manner": "crash", **QUICK}}, groups)
    shop.up()
    shop.pids(*NAMES)
    for _ in range(KILLS):
        victims = chance.sample(NAMES, chance.randint(1, 2))
        pids = running(shop)
        doomed = {pids[name] for name in victims if name in pids}
        shop.until(lambda doomed=doomed: doomed <= shop.begun(), what="the components' own word")
        for name in victims:
            if name in pids and lives(pids[name]):
                os.kill(pids[name], signal.SIGKILL)
        if chance.random() < 0.5:
            shop.end(signal.SIGKILL)
            shop.up()
        shop.until(lambda: set(NAMES) <= running(shop).keys() and all(map(lives, running(shop).values())))
    shop.until(lambda: bool(all_events(shop, "ComponentGivenUp")), what="the crash loop's end, loudly")
    alive_at_last = running(shop)
    started = [
        (event["envelope"]["source"], event["data"]["incarnation"]) for event in all_events(shop, "ComponentStarted")
    ]
    assert shop.end() == 10, "a component was given up"
    assert set(alive_at_last) == set(NAMES), "what was not given up runs"
    assert len(started) == len(set(started)), "no incarnation was started twice"
    for name in (*NAMES, "loop"):
        told = [incarnation for who, incarnation in started if who == f"component/{name}"]
        assert len(told) == shop.entries("start").count(name), (
            "as many starts in the log as the component itself wrote down"
        )
    assert shop.is_gone()
