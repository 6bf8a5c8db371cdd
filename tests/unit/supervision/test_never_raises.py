"""Whatever message comes in whatever state: a decision or a refusal, never an exception; and every event folds."""

from datetime import UTC, datetime, timedelta
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hms.actors.component import component
from hms.actors.fleet.behaviour import fleet
from hms.actors.group import group
from hms.actors.hosts import host
from hms.core.behaviour import Behaviour, Context
from hms.schemas import Record
from hms.schemas.fleet import Backoff, ComponentSpec, FleetSpec, GroupSpec, Probe, Probes

WORDS = (
    "a",
    "b",
    "front",
    "h1",
    "shop",
    "starting",
    "running",
    "stopped",
    "exited",
    "removed",
    "readiness",
    "liveness",
)
INSTANT = datetime(2026, 1, 1, tzinfo=UTC)
SPECS = st.builds(
    ComponentSpec,
    id=st.sampled_from(["a", "b", "c"]),
    group=st.sampled_from(["front", "back"]),
    command=st.just(("run",)),
    restart=st.sampled_from(["permanent", "transient", "temporary"]),
    depends_on=st.sampled_from([{}, {"a": "ready"}, {"c": "completed"}]),
    probes=st.sampled_from([Probes(), Probes(readiness=Probe())]),
    backoff=st.sampled_from([Backoff(), Backoff(first_ms=1, max_ms=1, jitter=1)]),
    on_give_up=st.sampled_from([(), ("notify",)]),
)
GROUPS = st.builds(
    GroupSpec,
    id=st.sampled_from(["front", "back"]),
    strategy=st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"]),
    max_restarts=st.integers(0, 2),
)
FLEETS = st.builds(
    FleetSpec,
    fleet=st.just("main"),
    groups=st.lists(GROUPS, max_size=2).map(tuple),
    components=st.lists(SPECS, max_size=3).map(tuple),
)
KNOWN = {
    ComponentSpec: SPECS,
    GroupSpec: GROUPS,
    FleetSpec: FLEETS,
    str: st.sampled_from(WORDS),
    int: st.integers(0, 3),
    float: st.floats(0, 9),
    bool: st.booleans(),
    datetime: st.integers(0, 9).map(lambda seconds: INSTANT + timedelta(seconds=seconds)),
    NoneType: st.none(),
}


def of(annotation: Any) -> st.SearchStrategy[Any]:
    """Return values of a field's type, small enough to meet each other."""
    if annotation in KNOWN:
        return KNOWN[annotation]
    arguments = get_args(annotation)
    if get_origin(annotation) in (Union, UnionType):
        return st.one_of(*(of(each) for each in arguments))
    if get_origin(annotation) is tuple:
        return st.lists(of(arguments[0]), max_size=3).map(tuple)
    if get_origin(annotation) is dict:
        return st.dictionaries(of(arguments[0]), of(arguments[1]), max_size=3)
    return records(annotation)


def records(kind: type[Record]) -> st.SearchStrategy[Any]:
    """Return records of a class with all fields filled."""
    return st.builds(kind, **{name: of(each.annotation) for name, each in kind.model_fields.items()})


@pytest.mark.parametrize("behaviour", [component, group, host, fleet], ids=lambda each: each.name)
def test_decide_never_raises(behaviour: Behaviour[Any, Any, Any]) -> None:
    message = st.one_of(*(records(kind) for kind in behaviour.messages))
    senders = st.sampled_from(["group/front", "group/main", "fleet/shop", "client/x", "component/a"])

    @settings(
        max_examples=80,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(st.lists(st.tuples(message, senders, st.integers(0, 5)), min_size=10, max_size=60))
    def play(script: list[tuple[Any, str, int]]) -> None:
        state, now = behaviour.initial(), INSTANT
        for number, (each, sender, seconds) in enumerate(script):
            now += timedelta(seconds=seconds)
            context = Context(f"{behaviour.name}/main", sender, now, f"message-{number}", "correlation")
            decision = behaviour.decide(state, each, context)
            assert decision == behaviour.decide(state, each, context)
            for event in decision.events:
                state = behaviour.evolve(state, event)

    play()
