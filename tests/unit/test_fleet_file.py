"""What a fleet file means: shorthands, defaults, anchors, and that any fleet survives being written and read."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hms.actors.fleet import FleetFileInvalid, parse_fleet, read_fleet
from hms.schemas.fleet import Backoff, ComponentSpec, FleetSpec, GroupSpec, Limits, Output, Probe, Probes, Stop

FLEETS = Path(__file__).parents[2] / "docs/reference/fleets"
WEB = "fleet: shop\ncomponents:\n  - id: web\n    command: [web]\n"


def web(lines: str = "") -> ComponentSpec:
    return parse_fleet(WEB + "".join(f"    {line}\n" for line in lines.splitlines()), "/srv/fleet.yaml").components[0]


def test_the_file_of_the_reference_means_what_it_says() -> None:
    fleet = read_fleet(FLEETS / "shop.yaml")
    assert fleet.fleet == "shop"
    assert fleet.groups == (GroupSpec(id="front", max_restarts=5, max_seconds=60), GroupSpec(id="cache"))
    assert fleet.components[1] == ComponentSpec(
        id="web",
        group="front",
        command=("python3", "-m", "http.server", "8080"),
        working_folder=str(FLEETS),
        environment={"TZ": "UTC"},
        depends_on={"cache": "ready"},
        probes=Probes(
            startup=Probe(tcp="127.0.0.1:8080", period_ms=200, failure_threshold=50),
            liveness=Probe(http="http://127.0.0.1:8080/", timeout_ms=500),
            readiness=Probe(tcp="127.0.0.1:8080"),
        ),
        limits=Limits(rss_mb=200),
        stop=Stop(signal="TERM", grace_ms=5000),
        backoff=Backoff(first_ms=200, max_ms=10000, jitter=0.2, stable_ms=10000),
        output=Output(max_mb=10, keep=3),
        on_give_up=("notify-send", "web is down"),
    )


def test_a_component_without_a_group_gets_one_of_its_own() -> None:
    fleet = parse_fleet(WEB, "fleet.yaml")
    assert fleet.groups == (GroupSpec(id="web", strategy="one_for_one"),)
    assert fleet.components[0].group == "web"


def test_a_list_of_dependencies_means_started() -> None:
    text = WEB + "    depends_on: [cache]\n  - {id: cache, command: [cache]}\n"
    assert parse_fleet(text, "fleet.yaml").components[0].depends_on == {"cache": "started"}


def test_numbers_in_the_environment_are_taken_as_they_are_written() -> None:
    spec = web("environment: {A: 1.10, B: 010, C: 1_000, D: 12:30, E: 2026-01-01, F: 1e3, G: -5, H: .inf}")
    assert spec.environment == {
        "A": "1.10", "B": "010", "C": "1_000", "D": "12:30", "E": "2026-01-01", "F": "1e3", "G": "-5", "H": ".inf",
    }  # fmt: skip


def test_keys_of_the_environment_are_text_even_where_yaml_sees_a_boolean() -> None:
    assert web("environment: {ON: a, NO: b, 1: c}").environment == {"ON": "a", "NO": "b", "1": "c"}


@pytest.mark.parametrize(("written", "user"), [("1000", "1000"), ("010", "010"), ("www-data", "www-data")])
def test_a_user_is_a_name_or_a_number(written: str, user: str) -> None:
    assert web(f"user: {written}").user == user


@pytest.mark.parametrize("written", ["022", '"022"', "'022'"])
def test_a_umask_is_octal_with_or_without_quotes(written: str) -> None:
    assert web(f"umask: {written}").umask == "022"


def test_a_signal_may_be_written_with_sig() -> None:
    assert web("stop: {signal: SIGINT}").stop.signal == "INT"


@pytest.mark.parametrize(
    ("written", "folder"), [(".", "/srv"), ("data/x", "/srv/data/x"), ("../up", "/up"), ("/abs", "/abs")]
)
def test_a_working_folder_begins_at_the_folder_of_the_file(written: str, folder: str) -> None:
    assert web(f"working_folder: {written}").working_folder == folder


def test_a_relative_name_of_the_file_gives_an_absolute_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_fleet(WEB, "sub/fleet.yaml").components[0].working_folder == str(tmp_path / "sub")


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "localhost:1", "[::1]:65535", "db.internal:5432"])
def test_a_tcp_probe_takes_names_and_both_kinds_of_address(address: str) -> None:
    assert web(f'probes: {{liveness: {{tcp: "{address}"}}}}').probes.liveness == Probe(tcp=address)


def test_an_anchor_is_shared_and_a_merged_key_gives_way_to_an_own_one() -> None:
    fleet = read_fleet(FLEETS / "pipeline.yaml")
    _, reader, writer, report = fleet.components
    assert (writer.user, writer.umask, writer.stop) == (reader.user, reader.umask, Stop(signal="INT", grace_ms=2000))
    assert writer.environment == reader.environment | {"BATCH": "50"}
    assert report.backoff == reader.backoff


def test_of_several_merged_mappings_the_first_wins() -> None:
    text = (
        "fleet: shop\ncomponents:\n  - &a {id: a, command: [a], user: one}\n"
        "  - &b {id: b, command: [b], user: two, umask: 022}\n  - {<<: [*a, *b], id: c}\n"
    )
    merged = parse_fleet(text, "fleet.yaml").components[2]
    assert (merged.id, merged.command, merged.user, merged.umask) == ("c", ("a",), "one", "022")


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + WEB.replace("\n", "\r\n").encode())
    assert read_fleet(file).components[0].command == ("web",)


def test_a_fleet_may_be_empty_when_it_says_so() -> None:
    assert parse_fleet("fleet: shop\ncomponents: []\n", "fleet.yaml") == FleetSpec(fleet="shop")


def test_two_thousand_components_are_read_whole() -> None:
    lines = "".join(f"  - {{id: c{n}, command: [x], depends_on: [c{n - 1}]}}\n" for n in range(1, 2_000))
    fleet = parse_fleet("fleet: big\ncomponents:\n  - {id: c0, command: [x]}\n" + lines, "fleet.yaml")
    assert len(fleet.components) == len(fleet.groups) == 2_000


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,9}", fullmatch=True)
programs = st.builds(lambda first, rest: (f"x{first}", *rest), words, st.lists(words, max_size=3))
milliseconds = st.integers(1, 86_400_000)
probes = st.one_of(
    st.builds(Probe, command=programs, period_ms=milliseconds),
    st.builds(Probe, process=st.just(value=True), timeout_ms=milliseconds),
    st.builds(Probe, tcp=st.builds("localhost:{}".format, st.integers(1, 65535))),
)
groups = st.builds(
    GroupSpec, id=names.map("g-{}".format), strategy=st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"])
)
components = st.builds(
    ComponentSpec,
    id=names.map("c-{}".format),
    command=programs,
    working_folder=st.just("/srv"),
    environment=st.dictionaries(words.filter(lambda name: name and "=" not in name), words, max_size=3),
    user=st.none() | words.filter(bool),
    restart=st.sampled_from(["permanent", "transient", "temporary"]),
    probes=st.builds(Probes, startup=st.none() | probes, liveness=st.none() | probes, readiness=st.none() | probes),
    limits=st.builds(Limits, rss_mb=st.none() | st.integers(1, 1_000)),
    backoff=st.builds(Backoff, jitter=st.floats(0, 1).map(lambda share: round(share, 6)), stable_ms=milliseconds),
    on_give_up=st.just(()) | programs,
)


@st.composite
def fleets(draw: st.DrawFn) -> FleetSpec:
    declared = draw(st.lists(groups, min_size=1, max_size=3, unique_by=lambda group: group.id))
    drawn = draw(st.lists(components, max_size=4, unique_by=lambda component: component.id))
    placed = [spec.model_copy(update={"group": draw(st.sampled_from(declared)).id}) for spec in drawn]
    return FleetSpec(fleet=draw(names), groups=tuple(declared), components=tuple(placed))


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_none(inner) for key, inner in value.items() if inner is not None and inner is not False}
    return [without_none(inner) for inner in value] if isinstance(value, list) else value


@given(fleet=fleets())
@settings(max_examples=150, deadline=None)
def test_a_fleet_that_is_written_as_yaml_is_read_back_equal(fleet: FleetSpec) -> None:
    text = yaml.safe_dump(without_none(fleet.model_dump(mode="json")), allow_unicode=True)
    assert parse_fleet(text, "/srv/fleet.yaml") == fleet


pieces = st.sampled_from(
    [*"{}[]:,-&*!|>'\"%@#?\t\n ", "\n  ", "\n    ", "<<: *a", "&a ", "id: ", "- ", "\\x00", "web", "1"]
)


@given(pieces=st.lists(pieces, max_size=12), cut=st.integers(0, 700))
@settings(max_examples=300, deadline=None)
def test_a_mangled_file_is_read_or_refused_and_never_a_traceback(pieces: list[str], cut: int) -> None:
    text = (FLEETS / "shop.yaml").read_text()
    try:
        fleet = parse_fleet(text[:cut] + "".join(pieces) + text[cut:], "fleet.yaml")
    except FleetFileInvalid as invalid:
        assert invalid.mistakes  # noqa: PT017 - either outcome is right
    else:
        assert {spec.group for spec in fleet.components} <= {group.id for group in fleet.groups}
