"""compose.yaml and the Dockerfile fit each other and this repository; they are run by hand (docs/operations/containers.md)."""

import re
import subprocess
import tomllib
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from hms.actors.fleet import parse_fleet

ROOT = Path(__file__).parents[2]
LAYERS = ("package", "schemas", "core", "replay", "sdk", "actors", "console")


@cache
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    return found


OURS = [name for name in services() if name != "kafka"]


def steps() -> list[tuple[str, str]]:
    """Return the Dockerfile's steps: what to do, and with what."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def copied() -> list[str]:
    """Return what the Dockerfile takes from the repository."""
    taken = [rest.split() for word, rest in steps() if word == "COPY" and not rest.startswith("--from")]
    return [source for *sources, _ in taken for source in sources]


def tracked(path: str) -> list[str]:
    command = ["git", "-c", "safe.directory=*", "ls-files", "--", path]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()


def test_the_kafka_of_compose_is_the_one_that_the_tests_run() -> None:
    pom = ET.parse(ROOT / "tests/kafka/pom.xml").getroot()  # noqa: S314 - our own file
    versions = {
        found.findtext("{*}artifactId", ""): found.findtext("{*}version", "")
        for found in pom.findall("{*}dependencies/{*}dependency")
    }
    assert services()["kafka"]["image"] == f"apache/kafka:{versions['kafka_2.13']}"
    assert versions["kafka-tools"] == versions["kafka_2.13"]


def test_everything_else_runs_the_image_that_one_of_them_builds() -> None:
    assert {services()[name]["image"] for name in OURS} == {"hms"}
    assert [name for name in OURS if "build" in services()[name]] == ["init"]
    assert services()["init"]["build"] == "."


@pytest.mark.parametrize("name", OURS)
def test_a_container_of_ours_may_change_nothing_but_its_volumes(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "privileged" not in service
    assert "user" not in service, "the image's own user is not root"


@pytest.mark.parametrize("name", [name for name in services() if name != "init"])
def test_a_service_says_whether_it_is_healthy_and_has_time_to_stop(name: str) -> None:
    assert services()[name]["healthcheck"]["test"]
    assert int(services()[name]["stop_grace_period"].removesuffix("s")) >= 30


def test_nodes_can_be_many() -> None:
    assert not {"container_name", "hostname", "ports"} & services()["node"].keys()


def test_who_needs_the_topics_waits_for_them_and_is_stopped_before_the_broker() -> None:
    broker = {"kafka": {"condition": "service_healthy"}}
    assert services()["init"]["depends_on"] == broker
    for name in ("node", "up"):
        assert services()[name]["depends_on"] == {**broker, "init": {"condition": "service_completed_successfully"}}


def test_every_listener_of_the_broker_is_advertised_where_its_clients_reach_it() -> None:
    kafka = services()["kafka"]["environment"]
    advertised = dict(one.split("://") for one in kafka["KAFKA_ADVERTISED_LISTENERS"].split(","))
    inner = advertised.pop(kafka["KAFKA_INTER_BROKER_LISTENER_NAME"])
    assert services()["node"]["environment"]["HMS_LOG"] == f"kafka://{inner}"
    (outer,) = advertised.values()
    assert services()["kafka"]["ports"] == [f"{outer}:29092"], "expected the port of the host to be what is advertised"


def test_what_is_mounted_is_there_and_what_is_kept_has_a_volume() -> None:
    volumes = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["volumes"]
    mounts = [mount.split(":")[0] for service in services().values() for mount in service.get("volumes", ())]
    assert set(mounts) == {*volumes, "./compose.fleet.yaml"}
    assert tracked("compose.fleet.yaml")


def test_the_fleet_of_compose_is_one() -> None:
    path = ROOT / "compose.fleet.yaml"
    fleet = parse_fleet(path.read_text(encoding="utf-8"), str(path))
    assert {component.id for component in fleet.components} == {"web", "clock"}
    assert "web" in services()["up"]["healthcheck"]["test"][1]


def test_the_image_is_built_from_files_that_git_tracks_and_from_every_layer() -> None:
    missing = [source for source in copied() if not tracked(source)]
    assert not missing, f"expected git to track what the Dockerfile copies, got {missing}"
    assert set(LAYERS) <= set(copied())


def test_what_the_dockerfile_copies_is_all_that_is_sent_to_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sent = [line.removeprefix("!") for line in lines if line.startswith("!")]
    assert sorted(sent) == sorted(copied())
    assert "*" in lines


def test_the_image_has_a_python_that_hms_runs_on_and_is_not_root() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (base,) = {rest.split()[0] for word, rest in steps() if word == "FROM"}
    version = re.fullmatch(r"python:(\d+\.\d+)-slim", base)
    assert version is not None, base
    assert project["requires-python"] == f">={version[1]}"
    user = dict(steps())["USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), user
