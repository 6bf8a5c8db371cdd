"""What a changed fleet file does: the difference, who is restarted for it, and in which waves."""

import hashlib
import json
from graphlib import CycleError
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hms.actors.fleet import RESTART_FIELDS, FleetMismatch, Plan, apply, parse_fleet, plan, spec_hash, waves
from hms.schemas.fleet import Backoff, ComponentSpec, FleetSpec, GroupSpec, Limits, Output, Probe, Probes, Stop


def component(name: str, *needs: str, **fields: Any) -> ComponentSpec:
    given = {"command": (name,), "group": name, "depends_on": dict.fromkeys(needs, "started")}
    return ComponentSpec.model_validate({"id": name} | given | fields)


def fleet(*components: ComponentSpec, groups: tuple[GroupSpec, ...] = ()) -> FleetSpec:
    declared = {group.id for group in groups}
    own = tuple(GroupSpec(id=spec.group) for spec in components if spec.group not in declared)
    return FleetSpec(fleet="shop", groups=groups + own, components=components)


def lines(before: FleetSpec | None, after: FleetSpec) -> tuple[str, ...]:
    return plan(before, after).render()


WEB, DB, CACHE = component("web", "db", "cache"), component("db"), component("cache", "db")


def test_a_first_file_adds_everything_dependencies_first() -> None:
    assert lines(None, fleet(WEB, DB, CACHE)) == ("+ web", "+ db", "+ cache", "start: db, then cache, then web")


def test_the_same_file_again_does_nothing() -> None:
    same = plan(fleet(WEB, DB, CACHE), fleet(WEB, DB, CACHE))
    assert same.empty
    assert same.render() == ("shop: no difference",)


def test_what_is_gone_is_stopped_dependants_first() -> None:
    assert lines(fleet(DB, CACHE, WEB), fleet(DB)) == ("- cache", "- web", "stop: web, then cache")


def test_a_new_command_restarts_that_component_only() -> None:
    changed = component("db", command=("db", "-v"))
    assert lines(fleet(WEB, DB, CACHE), fleet(WEB, changed, CACHE)) == (
        "~ db: command (restart)",
        "stop: db",
        "start: db",
    )


CHANGES: dict[str, Any] = {
    "command": ("other",),
    "working_folder": "/other",
    "environment": {"A": "b"},
    "user": "nobody",
    "umask": "027",
    "open_files": 10,
    "group": "other",
    "restart": "transient",
    "depends_on": {"db": "ready"},
    "host": "east",
    "failover": True,
    "candidates": ("west",),
    "probes": Probes(liveness=Probe(process=True)),
    "limits": Limits(rss_mb=1),
    "stop": Stop(grace_ms=1),
    "backoff": Backoff(jitter=0.5),
    "output": Output(keep=1),
    "on_give_up": ("say", "down"),
}


def test_every_field_of_a_component_is_in_the_table_of_changes() -> None:
    assert CHANGES.keys() | {"id"} == ComponentSpec.model_fields.keys()


@pytest.mark.parametrize("field", CHANGES)
def test_only_what_a_process_gets_at_its_start_needs_a_restart(field: str) -> None:
    before, after = component("web"), component("web").model_copy(update={field: CHANGES[field]})
    (change,) = plan(fleet(before), fleet(after)).changed
    assert change.fields == (field,)
    assert change.restart is (field in RESTART_FIELDS)
    assert change.restart is (spec_hash(before) != spec_hash(after))


def test_several_changes_of_one_component_are_one_line() -> None:
    after = component("db", umask="027", limits=Limits(rss_mb=5))
    assert lines(fleet(DB), fleet(after))[0] == "~ db: umask, limits (restart)"


def test_groups_are_named_unless_they_are_a_components_own() -> None:
    one, two = GroupSpec(id="front"), GroupSpec(id="front", strategy="one_for_all", max_restarts=1)
    before = fleet(component("web", group="front"), groups=(one, GroupSpec(id="old")))
    after = fleet(component("web", group="front"), DB, groups=(two, GroupSpec(id="back")))
    assert lines(before, after) == (
        "+ group back",
        "- group old",
        "~ group front: strategy, max_restarts",
        "+ db",
        "start: db",
    )


def test_a_component_that_joins_a_group_is_not_restarted() -> None:
    after = fleet(component("web", group="front"), groups=(GroupSpec(id="front"),))
    assert lines(fleet(component("web")), after) == ("+ group front", "~ web: group")
    assert lines(after, fleet(component("web"))) == ("- group front", "~ web: group")


def test_another_order_of_the_members_is_a_change_of_the_group() -> None:
    chain = (GroupSpec(id="chain", strategy="rest_for_one"),)
    a, b, c = (component(name, group="chain") for name in "abc")
    assert lines(fleet(a, b, c, groups=chain), fleet(b, a, groups=chain)) == ("~ group chain: order", "- c", "stop: c")
    assert lines(fleet(a, b, groups=chain), fleet(a, c, b, groups=chain)) == ("+ c", "start: c")


def test_the_plan_as_json_names_fields_and_shows_no_secret() -> None:
    before = fleet(component("web", environment={"TOKEN": "first-secret"}), DB)
    after = fleet(component("web", environment={"TOKEN": "second-secret"}), component("new"))
    shown = plan(before, after).as_json()
    assert "secret" not in json.dumps(shown)
    assert shown == {
        "fleet": "shop",
        "empty": False,
        "hosts": [],
        "components": {
            "added": ["new"],
            "removed": ["db"],
            "changed": [{"id": "web", "fields": ["environment"], "restart": True}],
        },
        "groups": {"added": ["new"], "removed": ["db"], "changed": []},
        "stop": [["web", "db"]],
        "start": [["web", "new"]],
    }


def test_a_plan_survives_json() -> None:
    change = plan(fleet(DB), fleet(WEB, DB, CACHE))
    assert Plan.model_validate_json(change.model_dump_json()) == change


def test_another_fleet_is_refused() -> None:
    other = FleetSpec(fleet="bank")
    with pytest.raises(
        FleetMismatch, match="expected the fleet `shop`, which this log holds, got `bank`; use the file"
    ):
        plan(fleet(DB), other)


def test_a_wave_holds_all_that_can_start_together() -> None:
    specs = [component("d", "b", "c"), component("c", "a"), component("b", "a"), component("a"), component("x")]
    assert waves(specs) == (("a", "x"), ("c", "b"), ("d",))


def test_order_holds_across_a_component_that_does_not_change() -> None:
    before = fleet(component("a"), component("b", "a"), component("c", "b"))
    after = fleet(component("a", umask="027"), component("b", "a"), component("c", "b", umask="027"))
    change = plan(before, after)
    assert (change.stop, change.start) == ((("c",), ("a",)), (("a",), ("c",)))


def test_dependencies_on_others_do_not_hold_a_wave_back() -> None:
    assert waves([component("web", "elsewhere")]) == (("web",),)


def test_a_circle_has_no_waves() -> None:
    with pytest.raises(CycleError):
        waves([component("a", "b"), component("b", "a")])


def test_the_hash_of_a_specification_is_the_same_on_every_machine_and_in_every_version() -> None:
    spec = component("web", environment={"B": "ü", "A": "1"}, working_folder="/srv", user="www", umask="022")
    text = (
        r'{"command":["web"],"environment":{"A":"1","B":"\u00fc"},"umask":"022","user":"www","working_folder":"/srv"}'
    )
    assert spec_hash(spec) == hashlib.sha256(text.encode()).hexdigest()
    assert spec_hash(spec) == spec_hash(spec.model_copy(update={"environment": {"A": "1", "B": "ü"}}))


names = st.permutations("abcdef").flatmap(lambda all_names: st.integers(0, 6).map(lambda count: all_names[:count]))


@st.composite
def fleets(draw: st.DrawFn) -> FleetSpec:
    groups = draw(st.lists(st.sampled_from("xyz"), unique=True, min_size=1))
    declared = tuple(GroupSpec(id=name, max_restarts=draw(st.integers(1, 2))) for name in groups)
    order = draw(names)
    specs = [
        component(
            name,
            *draw(st.lists(st.sampled_from(order[:index]), unique=True) if index else st.just([])),
            group=draw(st.sampled_from([name, *groups])),
            umask=draw(st.sampled_from(["022", "027"])),
            restart=draw(st.sampled_from(["permanent", "transient"])),
        )
        for index, name in enumerate(order)
    ]
    return fleet(*draw(st.permutations(specs)), groups=declared)


@given(before=st.none() | fleets(), after=fleets())
@settings(max_examples=300, deadline=None)
def test_applying_a_plan_gives_the_desired_fleet(before: FleetSpec | None, after: FleetSpec) -> None:
    change = plan(before, after)
    reached = apply(before, change)
    assert reached == after
    assert plan(reached, after).empty


@given(before=fleets(), after=fleets())
@settings(max_examples=300, deadline=None)
def test_a_plan_is_empty_only_between_fleets_that_do_the_same(before: FleetSpec, after: FleetSpec) -> None:
    def meaning(spec: FleetSpec) -> tuple[Any, ...]:
        members = {group.id: [one.id for one in spec.components if one.group == group.id] for group in spec.groups}
        return ({one.id: one for one in spec.components}, {group.id: group for group in spec.groups}, members)

    assert plan(before, after).empty is (meaning(before) == meaning(after))
    assert plan(before, before).empty


@given(before=fleets(), after=fleets())
@settings(max_examples=300, deadline=None)
def test_exactly_the_gone_the_new_and_the_restarted_are_stopped_and_started(
    before: FleetSpec, after: FleetSpec
) -> None:
    change = plan(before, after)
    old, new = ({spec.id: spec for spec in each.components} for each in (before, after))
    restarted = {name for name in old.keys() & new.keys() if spec_hash(old[name]) != spec_hash(new[name])}
    assert sorted(name for wave in change.stop for name in wave) == sorted(restarted | (old.keys() - new.keys()))
    assert sorted(name for wave in change.start for name in wave) == sorted(restarted | (new.keys() - old.keys()))


@given(spec=fleets())
@settings(max_examples=200, deadline=None)
def test_every_wave_needs_only_the_waves_before_it(spec: FleetSpec) -> None:
    done: set[str] = set()
    components = {each.id: each for each in spec.components}
    for wave in waves(spec.components):
        assert all(components[name].depends_on.keys() <= done for name in wave)
        done.update(wave)
    assert done == components.keys()


def test_a_plan_of_ten_thousand_components_is_made_without_comparing_each_with_each() -> None:
    many = fleet(*(component(f"c{n}", *([f"c{n - 1}"] if n % 10 else [])) for n in range(10_000)))
    assert len(plan(None, many).start) == 10
    assert plan(many, many).empty


def test_what_a_file_says_can_be_planned() -> None:
    text = "fleet: shop\ncomponents:\n  - {id: web, command: [web], depends_on: [db]}\n  - {id: db, command: [db]}\n"
    assert lines(None, parse_fleet(text, "fleet.yaml")) == ("+ web", "+ db", "start: db, then web")
