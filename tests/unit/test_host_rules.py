"""The rules of the host layer that need neither processes nor files."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hms.actors.host import BecameReady, HostCommand, RestartBudget, Started
from hms.actors.host.budget import delay_ms, still_counted, wants_restart
from hms.actors.host.command import stop_signal
from hms.actors.host.lag import Lag
from hms.actors.host.probe import Question
from hms.actors.host.sampling import LimitWatch, Sample
from hms.actors.host.shim.record import Exit, exit_from
from hms.actors.host.vitals import Threshold, Watch
from hms.schemas.fleet import Backoff, ComponentSpec, Limits, Probe, Probes, Restart


def command(incarnation: int, desired: str) -> HostCommand:
    spec = ComponentSpec(id="web", command=("x",))
    data = {"component": "web", "incarnation": incarnation, "desired": desired, "spec": spec, "spec_hash": "h"}
    return HostCommand.model_validate(data)


def started(**other: Any) -> Started:
    known = {"host": "h", "component": "web", "incarnation": 1, "attempt": 0, "session": 1, "sequence": 1, "at": 0}
    return Started.model_validate({**known, "boot_id": "b", "pid": 1, "start_ticks": 1, **other})


def ending(**how: Any) -> Exit:
    return Exit("b", 1, 1, 0, 1, **how)


def sample(rss_mb: float = 0, cpu: float = 0, descriptors: int = 0) -> Sample:
    return Sample(cpu, int(rss_mb * (1 << 20)), 1, descriptors, 1)


def test_down_is_newer_than_up_of_its_incarnation_and_older_than_up_of_the_next() -> None:
    ordered = [command(1, "up"), command(1, "down"), command(2, "up"), command(2, "down")]
    assert sorted((ordered[2], ordered[1], ordered[3], ordered[0]), key=lambda one: one.rank) == ordered


@pytest.mark.parametrize(
    ("given", "name"), [("INT", "INT"), ("SIGQUIT", "QUIT"), ("term", "TERM"), ("NONSENSE", "TERM")]
)
def test_a_stop_signal_may_be_written_with_or_without_sig_and_a_wrong_one_is_term(given: str, name: str) -> None:
    spec = ComponentSpec(id="w", command=("x",))
    spec = spec.model_copy(update={"stop": spec.stop.model_copy(update={"signal": given})})
    assert stop_signal(spec) == name


def test_what_happens_once_has_one_id_whoever_tells_it() -> None:
    assert started().id == started(session=9, sequence=7, at=5).id
    assert len({started().id, started(attempt=1).id, started(incarnation=2).id, started(component="db").id}) == 4
    assert uuid.UUID(started().id).version == 8
    assert uuid.UUID(started().id).variant == uuid.RFC_4122


def test_what_can_happen_again_has_another_id_each_time() -> None:
    known = started().model_dump(exclude={"boot_id", "pid", "start_ticks"})
    first, second = (BecameReady.model_validate({**known, "sequence": number}) for number in (1, 2))
    assert first.id != second.id


def test_parts_of_an_id_cannot_be_shifted_into_each_other() -> None:
    assert started(host="a", component="bc").id != started(host="ab", component="c").id


@pytest.mark.parametrize(
    ("policy", "how", "wanted"),
    [
        ("permanent", {"code": 0}, True),
        ("permanent", {"unknown": True}, True),
        ("transient", {"code": 0}, False),
        ("transient", {"code": 1}, True),
        ("transient", {"signal": "KILL"}, True),
        ("transient", {"unknown": True}, True),
        ("transient", {"failed": "not found"}, True),
        ("temporary", {"code": 1}, False),
    ],
)
def test_a_component_is_restarted_by_otps_rule(policy: Restart, how: dict[str, Any], *, wanted: bool) -> None:
    assert wants_restart(policy, ending(**how)) is wanted


def test_the_delay_doubles_up_to_its_greatest_and_is_spread() -> None:
    plain = Backoff(first_ms=100, max_ms=1000, jitter=0)
    assert [delay_ms(plain, number) for number in (0, 1, 2, 3, 4, 1000)] == [100, 200, 400, 800, 1000, 1000]
    spread = {delay_ms(Backoff(first_ms=100, jitter=0.5), 0) for _ in range(50)}
    assert len(spread) > 1
    assert all(50 <= delay <= 150 for delay in spread)


def test_only_restarts_within_the_window_are_counted() -> None:
    budget = RestartBudget(count=5, window_ms=10)
    assert still_counted((80_000, 90_000, 90_001, 200_000), budget, 100_000) == (90_001, 200_000)


def test_a_limit_is_told_at_the_third_sample_beyond_it_and_again_only_after_one_within() -> None:
    watch = LimitWatch(Limits(rss_mb=100))
    told = [
        [excess.value for excess in watch.note(sample(rss))]
        for rss in (101, 101, 99, 150, 151, 152, 153, 100, 200, 201, 202)
    ]
    assert told == [[], [], [], [], [], [152], [], [], [], [], [202]]


def test_each_limit_is_counted_by_itself() -> None:
    watch = LimitWatch(Limits(cpu_percent=50, open_files=10))
    watch.note(sample(cpu=60, descriptors=11))
    watch.note(sample(cpu=60, descriptors=9))
    assert [excess.what for excess in watch.note(sample(cpu=60, descriptors=11))] == ["cpu_percent"]


def test_thresholds_turn_a_verdict_only_by_answers_in_a_row() -> None:
    threshold = Threshold(Probe(process=True, failure_threshold=3, success_threshold=2), passing=True)
    answers = [False, False, True, False, False, False, False, True, False, True, True]
    assert [threshold.note(ok) for ok in answers] == [False] * 5 + [True] + [False] * 4 + [True]


def test_the_record_of_a_newer_shim_is_still_read() -> None:
    written = {**ending(code=3, lines=("a",))._asdict(), "lines": ["a"], "invented_later": 1}
    assert exit_from(written) == ending(code=3, lines=("a",))


class Heard(list[str]):
    """An observer that writes down what it hears, and says when it has heard enough."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.enough = asyncio.Event()

    def hear(self, what: str) -> None:
        self.append(what)
        if len(self) == self.number:
            self.enough.set()

    def ready(self) -> None:
        self.hear("ready")

    def unready(self, reason: str) -> None:
        self.hear(f"unready: {reason}")

    def liveness_failed(self, reason: str) -> None:
        self.hear(f"dead: {reason}")

    def startup_passed(self) -> None:
        self.hear("started up")

    def startup_failed(self, reason: str) -> None:
        self.hear(f"never up: {reason}")


def scripted(**answers: list[str | None]) -> Callable[[Probe], Question]:
    """Return probes by failure threshold's name, each giving its answers and then its last for ever."""
    scripts: dict[str, Iterator[str | None]] = {name: iter(given) for name, given in answers.items()}
    last: dict[str, str | None] = {}

    def ask(probe: Probe) -> Question:
        name = (probe.command or ("liveness",))[0]

        async def asked() -> str | None:
            last[name] = next(scripts.get(name, iter(())), last.get(name))
            return last[name]

        return asked

    return ask


def watched(probes: Probes, ask: Callable[[Probe], Question], until: int, *, passed: bool = False) -> Heard:
    heard = Heard(until)

    async def main() -> None:
        watch = Watch(probes, ask, heard, Lag())
        running = asyncio.create_task(watch.run(time.monotonic(), startup_passed=passed))
        async with asyncio.timeout(30):
            await heard.enough.wait()
        running.cancel()

    asyncio.run(main())
    return heard


def probe(name: str, **more: Any) -> Probe:
    return Probe.model_validate({"command": (name,), "period_ms": 1, **more})


def test_without_probes_a_component_is_ready_once_it_runs() -> None:
    assert watched(Probes(), scripted(), 2) == ["started up", "ready"]


def test_startup_holds_the_other_probes_back() -> None:
    probes = Probes(startup=probe("startup", failure_threshold=9), readiness=probe("readiness"))
    ask = scripted(startup=["no", "no", None], readiness=[None])
    assert watched(probes, ask, 2) == ["started up", "ready"]


def test_a_startup_that_never_passes_is_told_and_nothing_else_is_asked() -> None:
    probes = Probes(startup=probe("startup", failure_threshold=3), readiness=probe("readiness"))
    assert watched(probes, scripted(startup=["a", "b", "c"], readiness=[None]), 1) == ["never up: c"]


def test_a_startup_that_has_passed_once_is_not_asked_again() -> None:
    probes = Probes(startup=probe("startup"))
    assert watched(probes, scripted(startup=["no"]), 2, passed=True) == ["started up", "ready"]


def test_readiness_comes_and_goes() -> None:
    probes = Probes(readiness=probe("readiness", failure_threshold=2))
    ask = scripted(readiness=["cold", None, "busy", None, "busy", "full", None])
    assert watched(probes, ask, 4) == ["started up", "ready", "unready: full", "ready"]


def test_liveness_is_told_once_until_it_has_passed_again() -> None:
    probes = Probes(
        liveness=probe("liveness", failure_threshold=1), readiness=probe("readiness", initial_delay_ms=60_000)
    )
    ask = scripted(liveness=[None, "hung", "hung", None, "gone"])
    assert watched(probes, ask, 3) == ["started up", "dead: hung", "dead: gone"]


def test_a_probe_that_breaks_counts_as_failed() -> None:
    def ask(_: Probe) -> Question:
        async def broken() -> str | None:
            raise RuntimeError("oh")

        return broken

    probes = Probes(
        liveness=probe("liveness", failure_threshold=1), readiness=probe("readiness", initial_delay_ms=60_000)
    )
    assert watched(probes, ask, 2)[1] == "dead: the probe itself failed: RuntimeError('oh')"
