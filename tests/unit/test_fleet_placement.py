"""Where a fleet file places its components: on hosts that it names, with failover that can work."""

from typing import NamedTuple

import pytest

from hms.actors.fleet import FleetFileInvalid, apply, parse_fleet, plan, spec_hash
from hms.schemas.fleet import ComponentSpec, FleetSpec

HOSTS = "fleet: shop\nhosts: [east, west]\ncomponents:\n  - {id: web, command: [web], "


def read(text: str) -> FleetSpec:
    return parse_fleet(text, "/srv/fleet.yaml")


def web(placement: str) -> ComponentSpec:
    """Return a component of a file with two hosts."""
    return read(f"{HOSTS}{placement}}}\n").components[0]


def test_a_component_names_its_host_and_who_may_take_it_over() -> None:
    spec = web("host: east, failover: true, candidates: [west]")
    assert (spec.host, spec.failover, spec.candidates) == ("east", True, ("west",))


def test_a_component_that_names_no_host_is_at_home_wherever_that_is() -> None:
    spec = web("restart: transient")
    assert (spec.host, spec.failover, spec.candidates) == ("", False, ())


GROUP = """
fleet: shop
hosts: [east, west, north]
groups:
  - {id: front, host: east, failover: true, candidates: [west, north]}
components:
  - {id: plain, group: front, command: [x]}
  - {id: elsewhere, group: front, command: [x], host: west}
  - {id: rooted, group: front, command: [x], failover: false}
  - {id: home, group: front, command: [x], host: "", failover: false}
  - {id: choosy, group: front, command: [x], candidates: [north]}
"""


def test_what_a_component_leaves_out_its_group_says() -> None:
    found = {spec.id: (spec.host, spec.failover, spec.candidates) for spec in read(GROUP).components}
    assert found == {
        "plain": ("east", True, ("west", "north")),
        "elsewhere": ("west", True, ("north",)),
        "rooted": ("east", False, ()),
        "home": ("", False, ()),
        "choosy": ("east", True, ("north",)),
    }


class Wrong(NamedTuple):
    """A text with one mistake: where it is, its path, and a part of what is said."""

    text: str
    place: str
    path: str
    said: str


WRONG = {
    "unknown host": Wrong(
        f"{HOSTS}host: eats}}\n", "4:37", "components[0].host", "expected a host of this file, got `eats`; did you mean"
    ),
    "host without hosts": Wrong(
        "fleet: shop\ncomponents:\n  - {id: web, command: [x], host: east}\n",
        "3:35",
        "components[0].host",
        "add `east` to `hosts`",
    ),
    "host of a group": Wrong(
        "fleet: shop\nhosts: [east]\ngroups: [{id: g, host: west}]\ncomponents: []\n",
        "3:24",
        "groups[0].host",
        "expected a host of this file, got `west`",
    ),
    "host twice": Wrong(
        "fleet: shop\nhosts: [east, west, east]\ncomponents: []\n", "2:21", "hosts[2]", "expected each host once"
    ),
    "host that is no name": Wrong(
        "fleet: shop\nhosts: ['a b']\ncomponents: []\n", "2:9", "hosts[0]", "1 to 100 letters, digits"
    ),
    "unknown candidate": Wrong(
        f"{HOSTS}failover: true, candidates: [north, west]}}\n",
        "4:60",
        "components[0].candidates[0]",
        "expected a host of this file, got `north`",
    ),
    "candidate twice": Wrong(
        f"{HOSTS}failover: true, candidates: [west, west]}}\n",
        "4:66",
        "components[0].candidates[1]",
        "expected each candidate once, got `west` again",
    ),
    "candidate that is its host": Wrong(
        f"{HOSTS}host: east, failover: true, candidates: [west, east]}}\n",
        "4:78",
        "components[0].candidates[1]",
        "expected candidates beside its host, got `east`",
    ),
    "failover without candidates": Wrong(
        f"{HOSTS}host: east, failover: true}}\n",
        "4:53",
        "components[0].failover",
        "expected candidates for the failover, got none; add `candidates: [HOST]`",
    ),
    "failover of a group without candidates": Wrong(
        "fleet: shop\nhosts: [east]\ngroups: [{id: g, failover: true}]\ncomponents:\n  - {id: web, group: g, command: [x]}\n",
        "5:5",
        "components[0].failover",
        "expected candidates for the failover, got none",
    ),
    "failover to nowhere but its host": Wrong(
        "fleet: shop\nhosts: [east]\ngroups: [{id: g, failover: true, candidates: [east]}]\n"
        "components:\n  - {id: web, group: g, command: [x], host: east}\n",
        "5:5",
        "components[0].failover",
        "got none beside its host `east`",
    ),
    "failover of what is not started again": Wrong(
        f"{HOSTS}restart: temporary, failover: true, candidates: [west]}}\n",
        "4:61",
        "components[0].failover",
        "expected a component that is started again, got a temporary one",
    ),
    "candidates without failover": Wrong(
        f"{HOSTS}candidates: [west]}}\n", "4:43", "components[0].candidates", "add `failover: true`, or remove them"
    ),
    "failover that is no yes or no": Wrong(
        f"{HOSTS}failover: west, candidates: [west]}}\n", "4:41", "components[0].failover", "expected true or false"
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_mistake_is_named_once_with_its_line_and_column(wrong: Wrong) -> None:
    with pytest.raises(FleetFileInvalid) as caught:
        read(wrong.text)
    (mistake,) = map(str, caught.value.mistakes)
    assert mistake.startswith(f"/srv/fleet.yaml:{wrong.place}: {wrong.path}: ")
    assert wrong.said in mistake


def test_the_plan_says_where_and_restarts_what_moves() -> None:
    before = read(f"{HOSTS}host: east}}\n")
    after = read(f"{HOSTS}host: west}}\n  - {{id: new, command: [x], host: east}}\n")
    change = plan(before, after)
    assert change.render() == (
        "+ new on east",
        "~ web on west: host (restart)",
        "stop: web",
        "start: web new",
    )
    assert apply(before, change) == after


def test_another_candidate_restarts_nothing_and_failover_does() -> None:
    rooted, roaming = web("host: east"), web("host: east, failover: true, candidates: [west]")
    assert spec_hash(rooted) != spec_hash(roaming)
    assert spec_hash(roaming) == spec_hash(roaming.model_copy(update={"candidates": ()}))


def test_another_list_of_hosts_is_a_difference_of_its_own() -> None:
    before, after = read("fleet: shop\ncomponents: []\n"), read("fleet: shop\nhosts: [east]\ncomponents: []\n")
    change = plan(before, after)
    assert change.render() == ("~ hosts: east",)
    assert change.as_json()["hosts"] == ["east"]
    assert apply(before, change) == after
    assert plan(after, after).empty
